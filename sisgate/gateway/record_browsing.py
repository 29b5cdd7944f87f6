"""Looking at single records: which there are, what became of one, and what is in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sisgate.access.policy import Action
from sisgate.domain.stored_records import StoredRecord
from sisgate.errors import UnknownRecord, UsageError
from sisgate.gateway.core import Core
from sisgate.gateway.disclosure import Disclosures
from sisgate.gateway.feeds import FeedChange, change_of
from sisgate.ledger import feeds, records

MOST_OPENED = 100
"""Records that are opened at once: who wants them all reads the dataset."""

MOST_CHANGES = 100
LONGEST_ID = 255


@dataclass(frozen=True)
class RecordInfo:
    """What is known of a record without its data.

    `fingerprint` changes with the data and tells nothing else of it; None in a process without a
    master key. `deleted_at` is None while the provider has the record.
    """

    sourced_id: str
    fingerprint: str | None
    first_seen: datetime
    last_seen: datetime
    changed_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True)
class RecordPage:
    """Records in order of sourcedId; `next` is the id at which the following ones start."""

    records: Sequence[RecordInfo]
    next: str | None


@dataclass(frozen=True)
class RecordHistory:
    """A record with its newest updates and deletions, as far back as changes are kept."""

    record: RecordInfo
    changes: Sequence[FeedChange]


def check_ids(ids: Sequence[str]) -> None:
    """Raise `UsageError` for a text that no id of a record is, nor its beginning."""
    if any("\0" in each or len(each) > LONGEST_ID for each in ids):
        raise UsageError(f"An id has at most {LONGEST_ID} characters, and no NUL.")


class RecordBrowser:
    """Reads single records for people; who wants data needs the right, and is audited."""

    def __init__(self, core: Core, disclosures: Disclosures) -> None:
        self._core = core
        self._disclosures = disclosures

    def browse(
        self, provider: str, resource: str, start: str, include_deleted: bool, limit: int
    ) -> RecordPage:
        """Return up to `limit` records from the id `start` on."""
        self._check(Action.LOOK, provider, resource, [start])
        with self._core.database.read() as session:
            rows = records.find(
                session, provider, resource,
                start=start, include_deleted=include_deleted, limit=limit + 1,
            )  # fmt: skip
        following = rows[limit].sourced_id if len(rows) > limit else None
        return RecordPage(self._infos(provider, rows[:limit]), following)

    def history(self, provider: str, resource: str, sourced_id: str) -> RecordHistory:
        """Return what became of a record; `UnknownRecord` if there is none of that id."""
        self._check(Action.LOOK, provider, resource, [sourced_id])
        with self._core.database.read() as session:
            row = records.row_of(session, provider, resource, sourced_id)
            if row is None:
                raise UnknownRecord(
                    f"{provider} {resource} has no record of that id. Ids are case-sensitive; one "
                    "whose time after its deletion is over is gone.",
                    provider=provider, resource=resource,
                )  # fmt: skip
            changes = feeds.of_record(session, provider, resource, sourced_id, MOST_CHANGES)
            (info,) = self._infos(provider, [row])
            return RecordHistory(info, [change_of(each) for each in changes])

    def open(
        self,
        provider: str,
        resource: str,
        ids: Sequence[str],
        purpose: str | None,
        request_id: str | None,
    ) -> Sequence[StoredRecord]:
        """Return those of some records that there are, after auditing their reader."""
        self._check(Action.READ, provider, resource, ids)
        if len(ids) > MOST_OPENED:
            raise UsageError(
                f"At most {MOST_OPENED} records are opened at once; `records` streams a dataset."
            )
        self._core.check_purpose(purpose)
        with self._core.database.read() as session:
            found = records.of_ids(session, provider, resource, ids)
        if found:
            given = [each.sourced_id for each in found]
            self._disclosures.opened(
                provider, resource, given, purpose=purpose, request_id=request_id
            )
        return found

    def _check(self, action: Action, provider: str, resource: str, ids: Sequence[str]) -> None:
        self._core.check_dataset(provider, resource)
        self._core.access.require(action, provider, resource)
        check_ids(ids)

    def _infos(self, provider: str, rows: Sequence[records.RecordRow]) -> list[RecordInfo]:
        marks = self._disclosures.fingerprints(provider, [row.content_hash for row in rows])
        return [
            RecordInfo(
                row.sourced_id, mark, row.first_seen, row.last_seen, row.changed_at, row.deleted_at
            )
            for row, mark in zip(rows, marks, strict=True)
        ]
