"""Datasets: their records and changes, as JSON Lines."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from sisgate.gateway import Feed, Gateway, RecordHistory, RecordPage, StoredChange, StoredRecord
from sisgate.web.deps import ACTOR, Caller, Common, ProviderName, Purpose, RequestId, ResourceName
from sisgate.web.rights import operation
from sisgate.web.schemas.datasets import (
    BrowseOrder,
    CountDocument,
    CursorDocument,
    DatasetsDocument,
    FeedConsumers,
    OpenedRecords,
    OpenRecordsOrder,
    RecordOrder,
    RestartedDocument,
    SyncedDatasets,
)
from sisgate.web.schemas.providers import BecauseOrder
from sisgate.web.streams import JSON_LINES, LineStreams

router = APIRouter(prefix="/v1", tags=["datasets"])

ALL = "/providers/{provider}/datasets"
AT = f"{ALL}/{{resource}}"

IfNoneMatch = Annotated[
    str | None, Header(description="The `ETag` of an earlier answer.", max_length=200)
]
_LINES: dict[int | str, dict[str, Any]] = {
    200: {"content": {JSON_LINES: {}}, "description": "One object a line."},
    304: {"description": "Nothing has changed since the answer with that `ETag`."},
}


@dataclass(frozen=True)
class _Reading:
    """The reading of a dataset, and the tags that the reader knows."""

    caller: Gateway
    streams: LineStreams
    provider: str
    resource: str
    reader: dict[str, Any]
    known: str

    async def stream(
        self, mark: str, read: Callable[..., Iterator[StoredRecord | StoredChange]]
    ) -> Response:
        """Return what `read` returns, or 304 if nothing has changed since a tag that is known.

        Tags are compared weakly, and `*` is every one (RFC 9110, 13.1.2).

        The tag is read first: rows that are newer than it are sent again at the next time.
        """
        place = self.provider, self.resource
        cursor = await run_in_threadpool(self.caller.datasets.cursor, *place)
        tag = f'W/"{cursor}-{mark}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if self.known == "*" or tag.removeprefix("W/") in re.findall('"[^"]*"', self.known):
            return Response(status_code=304, headers=headers)
        rows = await run_in_threadpool(read, *place, **self.reader)
        return await self.streams.json(self.caller, rows, lambda row: row.as_line(), headers)


async def _reading(
    provider: ProviderName,
    resource: ResourceName,
    caller: Caller,
    shared: Common,
    purpose: Purpose = None,
    request_id: RequestId = None,
    if_none_match: IfNoneMatch = None,
) -> _Reading:
    known = (if_none_match or "").strip()
    reader = {"purpose": purpose, "request_id": request_id}
    return _Reading(caller, shared.streams, provider, resource, reader, known)


Reading = Annotated[_Reading, Depends(_reading)]


@router.get("/datasets", **operation("look", "anywhere", "List what was synced, and when"))
def list_synced_datasets(
    caller: Caller,
    provider: str | None = None,
    after: Annotated[str | None, Query(pattern="^[^/]+/[^/]+$", max_length=150)] = None,
    limit: Annotated[int | None, Query(ge=1, le=10_000)] = None,
) -> SyncedDatasets:
    """Return the datasets that were synced and that the caller may see, by name.

    `after` is `PROVIDER/DATASET`, the last one of the page before.
    """
    known = None
    if after is not None:
        name, _, resource = after.partition("/")
        known = name, resource
    return SyncedDatasets(datasets=caller.datasets.list(provider, after=known, limit=limit))


@router.get(ALL, **operation("look", "part of provider", "List datasets"))
def list_datasets(
    provider: ProviderName, caller: Caller, with_absent: bool = False
) -> DatasetsDocument:
    """Return the datasets of a provider, and those that it refuses to this installation."""
    absent = caller.datasets.absent(provider)
    roster = caller.datasets.roster(provider, with_absent=with_absent)
    return DatasetsDocument(roster=list(roster), absent=absent)


@router.post(
    "/feeds/restart",
    **operation("administer", "installation", "Let all readers of changes start over"),
)
def restart_feeds(order: BecauseOrder, caller: Caller) -> RestartedDocument:
    """After an older ledger was restored: every cursor is then too old (410)."""
    names = caller.datasets.begin_feeds_anew(actor=ACTOR, reason=order.reason or "")
    return RestartedDocument(datasets=list(names))


@router.get("/feeds/consumers", **operation("look", "anywhere", "List who reads changes"))
def list_consumers(
    caller: Caller, provider: str | None = None, resource: str | None = None
) -> FeedConsumers:
    """Return how far apps have read the feeds that the caller may see; an app sees itself."""
    return FeedConsumers(consumers=caller.datasets.consumers(provider, resource))


@router.get(f"{AT}/feed", **operation("look", "dataset", "Show a feed without records"))
def get_feed(
    provider: ProviderName,
    resource: ResourceName,
    caller: Caller,
    before: Annotated[int | None, Query(ge=0, le=2**53, description="A number.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> Feed:
    """Return the newest changes, or those below a number, newest first, without any data."""
    return caller.datasets.feed(provider, resource, before=before, limit=limit)


@router.get(f"{AT}/count", **operation("look", "dataset", "Count a dataset's records"))
def count_records(provider: ProviderName, resource: ResourceName, caller: Caller) -> CountDocument:
    """Return the number of records, without deleted ones."""
    count = caller.datasets.count(provider, resource)
    return CountDocument(provider=provider, resource=resource, records=count)


@router.get(f"{AT}/cursor", **operation("read", "dataset", "Show the newest change"))
def get_cursor(provider: ProviderName, resource: ResourceName, caller: Caller) -> CursorDocument:
    """Return the number of the newest change, 0 before the first.

    Take it before reading the records anew; then go on with the changes above it.
    """
    return CursorDocument(cursor=caller.datasets.cursor(provider, resource))


@router.get(
    f"{AT}/records",
    responses=_LINES,
    response_class=Response,
    **operation("read", "dataset", "Stream a dataset's records"),
)
async def list_records(reading: Reading, include_deleted: bool = False) -> Response:
    """Stream the records in order of `sourcedId`, as OneRoster 1.2. The reader is audited."""
    read = partial(reading.caller.records, include_deleted=include_deleted)
    return await reading.stream("all" if include_deleted else "live", read)


@router.post(f"{AT}/records/browse", **operation("look", "dataset", "List ids of records"))
def browse_records(
    provider: ProviderName, resource: ResourceName, order: BrowseOrder, caller: Caller
) -> RecordPage:
    """Return records from an id on, without their data."""
    return caller.datasets.browse(provider, resource, **dict(order))


@router.post(
    f"{AT}/records/history", **operation("look", "dataset", "Tell what became of a record")
)
def get_record_history(
    provider: ProviderName, resource: ResourceName, order: RecordOrder, caller: Caller
) -> RecordHistory:
    """Return the newest updates and deletions of a record, without its data."""
    return caller.datasets.history(provider, resource, **dict(order))


@router.post(f"{AT}/records/open", **operation("read", "dataset", "Open records"))
def open_records(
    provider: ProviderName, resource: ResourceName, order: OpenRecordsOrder, caller: Caller
) -> OpenedRecords:
    """Return records by their ids, leaving out unknown ones. The reader is audited."""
    return OpenedRecords(records=caller.datasets.open(provider, resource, **dict(order)))


@router.get(
    f"{AT}/changes",
    responses=_LINES,
    response_class=Response,
    **operation("read", "dataset", "Stream a dataset's changes"),
)
async def list_changes(
    reading: Reading,
    since: Annotated[int, Query(ge=0, le=2**53, description="The cursor.")] = 0,
    limit: Annotated[int | None, Query(ge=1, le=10**9)] = None,
) -> Response:
    """Stream the changes above the cursor; the number of the last line is the next cursor.

    A cursor whose changes are gone is a `cursor_too_old` (410): read the records anew.
    """

    def read(*place: str, **reader: Any) -> Iterator[StoredChange]:
        changes = reading.caller.changes(*place, since=since, **reader)
        with closing(changes):  # type: ignore[type-var]  # a generator
            yield from islice(changes, limit)

    return await reading.stream(f"{since}-{limit or 'all'}", read)
