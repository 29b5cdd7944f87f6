"""Synced datasets: their records, and the feeds of their changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sisgate.access.policy import Action
from sisgate.audit.events import FEEDS_BEGUN_ANEW
from sisgate.audit.log import record
from sisgate.domain.priorities import Priority
from sisgate.domain.stored_records import StoredChange, StoredRecord
from sisgate.gateway import feeds
from sisgate.gateway.acceptance import urgency_of
from sisgate.gateway.core import Core
from sisgate.gateway.disclosure import Disclosures
from sisgate.gateway.feeds import Feed, FeedConsumer
from sisgate.gateway.forecast import plan_sync
from sisgate.gateway.job import places_of
from sisgate.gateway.plan import Plan
from sisgate.gateway.record_browsing import RecordBrowser, RecordHistory, RecordPage
from sisgate.ledger import datasets
from sisgate.ledger.records import count_live, stream_changes, stream_records


@dataclass(frozen=True)
class AbsentDataset:
    """A dataset that a provider refused: its message, the job, and the time of the next try."""

    resource: str
    status: int
    message: str
    job: str
    since: datetime
    asked_again_at: datetime


@dataclass(frozen=True)
class DatasetStatus:
    """A dataset as the last syncs left it. Times are None for "never", `change` is a number.

    `synced_at` is when its records were last read, `full_synced_at` when all of them were.
    """

    provider: str
    resource: str
    synced_at: datetime | None
    full_synced_at: datetime | None
    change: int


def absent_datasets(core: Core, provider: str) -> Sequence[AbsentDataset]:
    """Return the datasets that a provider refused and that were never read."""
    with core.database.read() as session:
        jobs = datasets.absent(session, provider, core.clock.now())
        return [
            AbsentDataset(
                str(job.resource), (job.error or {})["status"], (job.error or {})["message"],
                job.id, job.accepted_at, job.accepted_at + datasets.ASK_AGAIN,
            )
            for job in jobs
        ]  # fmt: skip


class Datasets:
    """The synced datasets. Every read is audited."""

    def __init__(self, core: Core, disclosures: Disclosures) -> None:
        self._core = core
        self._disclosures = disclosures
        self._browser = RecordBrowser(core, disclosures)

    def check(self, provider: str, *resources: str) -> None:
        """Raise `UnknownProvider` or `UnknownResource`, which lists the valid names.

        `*` is any provider.
        """
        self._core.check_dataset(provider, *resources)

    def list(
        self,
        provider: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> Sequence[DatasetStatus]:
        """Return the datasets that were synced and that the caller may see, by name.

        `after` is provider and resource of the last one of the page before; `limit` None for all.
        """
        principal = self._core.access.require_role(Action.LOOK)
        places = places_of(principal)
        with self._core.database.read() as session:
            return [
                DatasetStatus(
                    each.provider, each.resource, each.synced_at, each.full_synced_at,
                    each.last_sequence,
                )
                for each in datasets.all_of(session, places, provider, after, limit)
            ]  # fmt: skip

    def roster(self, provider: str, *, with_absent: bool = False) -> tuple[str, ...]:
        """Return the datasets of a provider's whole roster, parents before children.

        Leaves out those that it does not offer (`absent`), unless `with_absent`.
        """
        every = self._core.provider(provider).dialect_class.roster
        left_out = () if with_absent else {each.resource for each in self.absent(provider)}
        return tuple(resource for resource in every if resource not in left_out)

    def rosters(self, providers: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return the roster of each provider, as `roster` does, without a query for each."""
        with self._core.database.read() as session:
            suspicious = datasets.with_failed_syncs(session, self._core.clock.now())
        return {name: self.roster(name, with_absent=name not in suspicious) for name in providers}

    def absent(self, provider: str) -> Sequence[AbsentDataset]:
        """Return the datasets that a provider refused (403, 404, …) and that were never read.

        Syncs of the whole roster leave them out for 7 days and then try again; a sync that names
        one always tries.
        """
        self._core.provider(provider)
        self._core.access.require_any(Action.LOOK, provider)
        return absent_datasets(self._core, provider)

    def count(self, provider: str, resource: str) -> int:
        """Return the number of records in a dataset, without deleted ones."""
        self._core.check_dataset(provider, resource)
        self._core.access.require(Action.LOOK, provider, resource)
        with self._core.database.read() as session:
            return count_live(session, provider, resource)

    def records(
        self,
        provider: str,
        resource: str,
        *,
        include_deleted: bool = False,
        purpose: str | None = None,
        request_id: str | None = None,
    ) -> Iterator[StoredRecord]:
        """Stream the records of a dataset in order of sourcedId; see `Gateway.records`."""
        self._core.check_dataset(provider, resource)
        self._core.access.require(Action.READ, provider, resource)
        rows = stream_records(
            self._core.database, provider, resource, include_deleted=include_deleted
        )
        return self._disclosures.records(
            rows, provider, resource,
            include_deleted=include_deleted, purpose=purpose, request_id=request_id,
        )  # fmt: skip

    def plan(self, provider: str, resource: str, priority: str | Priority) -> Plan:
        """Forecast a sync without enqueuing it; see `Gateway.plan`."""
        self.check(provider, resource)
        self._core.access.require(Action.LOOK, provider, resource)
        return plan_sync(self._core, provider, resource, urgency_of(priority))

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
        return self._browser.browse(provider, resource, start, include_deleted, limit)

    def history(self, provider: str, resource: str, sourced_id: str) -> RecordHistory:
        """Return what became of a record, without its data; `UnknownRecord` if there is none."""
        return self._browser.history(provider, resource, sourced_id)

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
        return self._browser.open(provider, resource, ids, purpose, request_id)

    def changes(
        self,
        provider: str,
        resource: str,
        *,
        since: int = 0,
        purpose: str | None = None,
        request_id: str | None = None,
    ) -> Iterator[StoredChange]:
        """Stream the changes numbered above the cursor `since`; see `Gateway.changes`."""
        self._core.check_dataset(provider, resource)
        self._core.access.require(Action.READ, provider, resource)
        rows = stream_changes(self._core.database, provider, resource, since=since)
        noted = feeds.noting(self._core, rows, provider, resource, since)
        return self._disclosures.changes(
            noted, provider, resource, since=since, purpose=purpose, request_id=request_id
        )

    def feed(
        self, provider: str, resource: str, *, before: int | None = None, limit: int = 50
    ) -> Feed:
        """Return the feed of a dataset without records, newest first; `before` is a number."""
        return feeds.read_feed(self._core, provider, resource, before, limit)

    def consumers(
        self, provider: str | None = None, resource: str | None = None
    ) -> Sequence[FeedConsumer]:
        """Return how far apps have read the feeds that the caller may see; an app sees itself."""
        return feeds.read_consumers(self._core, provider, resource)

    def cursor(self, provider: str, resource: str) -> int:
        """Return the number of the newest change, 0 before the first.

        Take it before reading a dataset again; then continue with the changes above it.
        """
        self._core.check_dataset(provider, resource)
        self._core.access.require(Action.READ, provider, resource)
        with self._core.database.read() as session:
            return datasets.newest_change(session, provider, resource)

    def begin_feeds_anew(self, *, actor: str, reason: str = "") -> Sequence[str]:
        """Make every reader of changes start over, after restoring an older ledger.

        Any cursor then raises `CursorTooOld`, so that no reader misses changes whose numbers were
        used twice. Returns the datasets as `PROVIDER/RESOURCE`.
        """
        principal = self._core.access.require(Action.ADMINISTER)
        who = principal.token_actor or actor
        with self._core.database.write() as session:
            begun = datasets.begin_feeds_anew(session)
            record(
                session, self._core.clock.now(), actor=who, action=FEEDS_BEGUN_ANEW,
                subject="ledger", reason=reason or None, datasets=len(begun),
            )  # fmt: skip
        return begun
