"""Records and changes over HTTP, streamed as JSON Lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sisgate.client.connection import Connection
from sisgate.client.paths import dataset_path, provider_path
from sisgate.client.reading import UNREADABLE, reads_answers, unreadable
from sisgate.client.values import change_of, plan_of, record_of, value_of
from sisgate.domain.stored_records import StoredChange, StoredRecord
from sisgate.domain.validation import check_resources
from sisgate.errors import ServiceUnavailable
from sisgate.gateway.plan import Plan

if TYPE_CHECKING:
    from sisgate.gateway.datasets import AbsentDataset, DatasetStatus
    from sisgate.gateway.feeds import Feed, FeedConsumer
    from sisgate.gateway.record_browsing import RecordHistory, RecordPage

T = TypeVar("T")

RESUMPTIONS = 3
"""How often a feed goes on after its answer was cut off, without a change in between."""


@reads_answers
class HttpDatasets:
    """`gateway.datasets` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def check(self, provider: str, *resources: str) -> None:
        """Raise `UnknownProvider` or `UnknownResource`, which lists the valid names."""
        if provider == "*":
            every = self._connection.get("/v1/providers")["providers"]
            known = {each for found in every for each in found["resources"]}
            check_resources("*", "The fleet", sorted(known), resources)
            return
        found = self._connection.get(provider_path(provider))
        check_resources(provider, f"{provider} ({found['kind']})", found["resources"], resources)

    def list(
        self,
        provider: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[DatasetStatus]:
        """Return the datasets that were synced and that the caller may see, by name."""
        from sisgate.gateway.datasets import DatasetStatus

        query = {"provider": provider, "after": "/".join(after) if after else None, "limit": limit}
        found = self._connection.get("/v1/datasets", query)["datasets"]
        return value_of(list[DatasetStatus], found)

    def roster(self, provider: str, *, with_absent: bool = False) -> tuple[str, ...]:
        """Return the datasets of a provider's whole roster, parents before children."""
        query = {"with_absent": "true" if with_absent else None}
        found = self._connection.get(f"{provider_path(provider)}/datasets", query)
        return tuple(found["roster"])

    def absent(self, provider: str) -> Sequence[AbsentDataset]:
        """Return the datasets that a provider refused and that were never read."""
        from sisgate.gateway.datasets import AbsentDataset

        found = self._connection.get(f"{provider_path(provider)}/datasets")["absent"]
        return value_of(list[AbsentDataset], found)

    def begin_feeds_anew(self, *, actor: str | None = None, reason: str = "") -> Sequence[str]:
        """Make every reader of changes start over; return the datasets as `PROVIDER/RESOURCE`."""
        reply = self._connection.post("/v1/feeds/restart", {"reason": reason or None})
        names: list[str] = reply["datasets"]
        return names

    def count(self, provider: str, resource: str) -> int:
        """Return the number of records in a dataset, without deleted ones."""
        count: int = self._connection.get(f"{dataset_path(provider, resource)}/count")["records"]
        return count

    def cursor(self, provider: str, resource: str) -> int:
        """Return the number of the newest change, 0 before the first."""
        cursor: int = self._connection.get(f"{dataset_path(provider, resource)}/cursor")["cursor"]
        return cursor

    def feed(
        self, provider: str, resource: str, *, before: int | None = None, limit: int = 50
    ) -> Feed:
        """Return the feed of a dataset without records, newest first; `before` is a number."""
        from sisgate.gateway.feeds import Feed

        path = f"{dataset_path(provider, resource)}/feed"
        return value_of(Feed, self._connection.get(path, {"before": before, "limit": limit}))

    def consumers(
        self, provider: str | None = None, resource: str | None = None
    ) -> Sequence[FeedConsumer]:
        """Return how far apps have read the feeds that the caller may see; an app sees itself."""
        from sisgate.gateway.feeds import FeedConsumer

        query = {"provider": provider, "resource": resource}
        found = self._connection.get("/v1/feeds/consumers", query)["consumers"]
        return value_of(list[FeedConsumer], found)

    def browse(
        self,
        provider: str,
        resource: str,
        *,
        start: str = "",
        include_deleted: bool = False,
        limit: int = 50,
    ) -> RecordPage:
        """Return records from the id `start` on, without their data."""
        from sisgate.gateway.record_browsing import RecordPage

        body = {"start": start, "include_deleted": include_deleted, "limit": limit}
        return value_of(RecordPage, self._ask(provider, resource, "browse", body))

    def history(self, provider: str, resource: str, sourced_id: str) -> RecordHistory:
        """Return what became of a record, without its data; `UnknownRecord` if there is none."""
        from sisgate.gateway.record_browsing import RecordHistory

        body = {"sourced_id": sourced_id}
        return value_of(RecordHistory, self._ask(provider, resource, "history", body))

    def open(
        self,
        provider: str,
        resource: str,
        ids: Sequence[str],
        *,
        purpose: str | None = None,
        request_id: str | None = None,
    ) -> Sequence[StoredRecord]:
        """Return up to 100 records by their ids, leaving out unknown ones. Audited as `records`."""
        body = {"ids": list(ids), "purpose": purpose, "request_id": request_id}
        place = {"provider": provider, "resource": resource}
        found = self._ask(provider, resource, "open", body)["records"]
        return value_of(list[StoredRecord], [{**place, **each} for each in found])

    def _ask(self, provider: str, resource: str, what: str, body: Mapping[str, Any]) -> Any:
        path = f"{dataset_path(provider, resource)}/records/{what}"
        return self._connection.post(path, body, may_repeat=True)

    def plan(self, provider: str, resource: str, priority: str) -> Plan:
        """Forecast a sync without enqueuing it."""
        path = f"{dataset_path(provider, resource)}/plan"
        return plan_of(self._connection.get(path, {"priority": priority}))

    def records(
        self,
        provider: str,
        resource: str,
        *,
        include_deleted: bool = False,
        purpose: str | None = None,
        request_id: str | None = None,
    ) -> Iterator[StoredRecord]:
        """Stream the records of a dataset in order of sourcedId; see `Gateway.records`.

        Raises `ServiceUnavailable` in between if the answer is cut off: it is then not complete.
        """
        query = {
            "include_deleted": "true" if include_deleted else None,
            "purpose": purpose, "request_id": request_id,
        }  # fmt: skip
        lines = self._connection.lines(f"{dataset_path(provider, resource)}/records", query)
        return _values(lines, lambda line: record_of(provider, resource, line))

    def changes(
        self,
        provider: str,
        resource: str,
        *,
        since: int = 0,
        purpose: str | None = None,
        request_id: str | None = None,
    ) -> Iterator[StoredChange]:
        """Stream the changes numbered above the cursor `since`; see `Gateway.changes`.

        If the answer is cut off, it goes on behind the last change.
        """

        def lines_after(cursor: int) -> Iterator[bytes]:
            query = {"since": cursor, "purpose": purpose, "request_id": request_id}
            return self._connection.lines(f"{dataset_path(provider, resource)}/changes", query)

        def stream(lines: Iterator[bytes], cursor: int) -> Iterator[StoredChange]:
            left = RESUMPTIONS
            while True:
                try:
                    for change in _values(lines, lambda line: change_of(provider, resource, line)):
                        yield change
                        cursor, left = change.sequence, RESUMPTIONS
                    return
                except ServiceUnavailable:
                    if not left:
                        raise
                left -= 1
                lines = lines_after(cursor)

        return stream(lines_after(since), since)


def _values(lines: Iterator[bytes], value_of: Callable[[Mapping[str, Any]], T]) -> Iterator[T]:
    import orjson

    for line in lines:
        try:
            value = value_of(orjson.loads(line))
        except UNREADABLE as error:
            raise unreadable(error) from None
        yield value
