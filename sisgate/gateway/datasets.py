"""Reading what was synced: records, and the feed of their changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sisgate.access.policy import Action
from sisgate.gateway.core import Core
from sisgate.gateway.disclosure import Disclosures
from sisgate.ledger import absent
from sisgate.ledger.records import (
    StoredChange,
    StoredRecord,
    newest_change,
    stream_changes,
    stream_records,
)


@dataclass(frozen=True)
class AbsentDataset:
    """A dataset that a provider refused: what it said, in which job, and when we ask again."""

    resource: str
    status: int
    message: str
    job: str
    since: datetime
    asked_again_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            **asdict(self),
            "since": self.since.isoformat(),
            "asked_again_at": self.asked_again_at.isoformat(),
        }


class Datasets(Core):
    """The part of the gateway that gives out records. What it gives out is in the audit log."""

    def roster(self, provider: str, *, with_absent: bool = False) -> tuple[str, ...]:
        """Return what a sync of a provider's whole roster reads, parents before children.

        Without the datasets that it doesn't offer (`absent`), unless those are wanted, too.
        """
        every = self.provider(provider).dialect_class.roster
        left_out = () if with_absent else {each.resource for each in self.absent(provider)}
        return tuple(resource for resource in every if resource not in left_out)

    def absent(self, provider: str) -> Sequence[AbsentDataset]:
        """Return the datasets that a provider refused (403, 404, …) and that were never read.

        Syncs of everything leave them out for 7 days and then ask again; a sync that names one
        always asks.
        """
        self.provider(provider)
        self.access.pass_some(Action.LOOK, provider)
        with self.database.read() as session:
            jobs = absent.absent(session, provider, self.clock.now())
            return [
                AbsentDataset(
                    str(job.resource), (job.error or {})["status"], (job.error or {})["message"],
                    job.id, job.accepted_at, job.accepted_at + absent.ASK_AGAIN,
                )
                for job in jobs
            ]  # fmt: skip

    def records(
        self,
        provider: str,
        resource: str,
        *,
        include_deleted: bool = False,
        purpose: str | None = None,
        request_id: str | None = None,
    ) -> Iterator[StoredRecord]:
        """Stream the records of a dataset in order of sourcedId.

        The audit log tells who was given them, how many, and for what stated `purpose`, and
        `audit.disclosures` of which person.
        """
        self.check_dataset(provider, resource)
        self.access.pass_through(Action.READ, provider, resource)
        found = stream_records(self.database, provider, resource, include_deleted=include_deleted)
        return self.disclosures.records(
            found, provider, resource,
            include_deleted=include_deleted, purpose=purpose, request_id=request_id,
        )  # fmt: skip

    def changes(
        self,
        provider: str,
        resource: str,
        *,
        since: int = 0,
        purpose: str | None = None,
        request_id: str | None = None,
    ) -> Iterator[StoredChange]:
        """Stream the changes numbered above the cursor `since`, and end at the newest.

        The number of the last one received is the next cursor. Numbers become visible in order.
        Reading raises `CursorTooOld` where changes above the cursor are gone, and `CursorAhead`
        where the feed ends below it; in both cases the dataset is to be read anew (`cursor`).
        The audit log tells who was given them, how many, and for what stated `purpose`.
        """
        self.check_dataset(provider, resource)
        self.access.pass_through(Action.READ, provider, resource)
        found = stream_changes(self.database, provider, resource, since=since)
        return self.disclosures.changes(
            found, provider, resource, since=since, purpose=purpose, request_id=request_id
        )

    def cursor(self, provider: str, resource: str) -> int:
        """Return the number of the newest change, 0 before the first.

        Taken before a dataset is read anew, it is where to go on with its changes.
        """
        self.check_dataset(provider, resource)
        self.access.pass_through(Action.READ, provider, resource)
        with self.database.read() as session:
            return newest_change(session, provider, resource)

    @cached_property
    def disclosures(self) -> Disclosures:
        """What notes in the audit log what is given out; the rest of the gateway uses it."""
        return Disclosures(self)
