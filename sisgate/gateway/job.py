"""A job as an app sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sisgate.access.policy import Action, Principal, decide
from sisgate.domain.priorities import Priority
from sisgate.domain.states import CallState, JobState
from sisgate.errors import JobCancelled, JobExpired, JobFailed, OutcomeUnknown
from sisgate.ledger import jobs
from sisgate.ledger import schema as tables

if TYPE_CHECKING:
    from sisgate.gateway.answer import Answer
    from sisgate.gateway.gateway import Gateway


@dataclass(frozen=True)
class JobStatus:
    """What the ledger knows of a job now.

    `calls` counts its calls by state. `complete` is None until a sync ends, then whether the
    whole list was read; `note` says why not, or what a person should know. `error` has `code`,
    `message` and ids. `dead`: sisgate gave it up. `retried_as` is the job as which it was enqueued
    once more.
    """

    id: str
    kind: str
    state: JobState
    app: str
    provider: str
    resource: str | None
    priority: Priority
    mode: str | None
    accepted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None
    complete: bool | None
    note: str | None
    error: Mapping[str, Any] | None
    dead: bool
    retried_as: str | None
    rows_seen: int
    inserted: int
    updated: int
    deleted: int
    calls_made: int
    throttled: int
    calls: Mapping[str, int]

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.state.is_final

    @property
    def progress(self) -> float:
        """The share of the planned calls that have ended, from 0 to 1."""
        if self.is_final:
            return 1.0
        ended = sum(n for state, n in self.calls.items() if CallState(state).is_final)
        total = sum(self.calls.values())
        return ended / total if total else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the status JSON-ready, times as ISO 8601."""
        words = {**asdict(self), "priority": self.priority.word, "state": self.state.value}
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in words.items()}


class Job:
    """A handle on a job. Cheap: it holds the id and asks the ledger.

    `is_new` tells that this very call made the job, and not an earlier one of the same key.
    `age_seconds` is None, except where the provider takes no calls and old data was asked for
    then: the job is the one that brought them, so many seconds ago.
    """

    def __init__(
        self,
        gateway: Gateway,
        job_id: str,
        *,
        is_new: bool = False,
        age_seconds: float | None = None,
    ) -> None:
        self._gateway = gateway
        self.id = job_id
        self.is_new = is_new
        self.age_seconds = age_seconds

    @property
    def is_stale(self) -> bool:
        """Whether it stands for old data, because the provider takes no calls now."""
        return self.age_seconds is not None

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def status(self) -> JobStatus:
        """Return what the ledger knows now."""
        return self._gateway.job_status(self.id)

    def wait(self, timeout: float | None = None) -> JobStatus:
        """Wait until the job has ended, at most `timeout` seconds, and return its status.

        Raises `TimeoutError` when the time is over first (the job goes on), and `JobFailed`,
        `JobCancelled`, `JobExpired` or `OutcomeUnknown` when it ended without success. A `held`
        job is returned.
        """
        status = self._gateway.wait_for(self.id, timeout)
        raise_unless_successful(status)
        return status

    @property
    def expected_start(self) -> datetime | None:
        """When its first call is made, or was; None while nobody can tell."""
        return self._gateway.expected(self.id).starts_at

    @property
    def expected_finish(self) -> datetime | None:
        """When it ends, or ended; None while nobody can tell."""
        return self._gateway.expected(self.id).done_by

    def cancel(self) -> JobStatus:
        """Cancel the job; `InvalidState` when it has ended already."""
        return self._gateway.cancel(self.id)

    def answer(self, *, purpose: str | None = None) -> Answer:
        """Return the answer of a `request` job that has ended; `purpose` is for the audit log."""
        found = self._gateway.answer(self.id, purpose=purpose)
        return replace(found, is_stale=True) if self.is_stale else found


def raise_unless_successful(status: JobStatus) -> None:
    """Raise what fits the end of the job; nothing for `done` and `held`."""
    if status.state in {JobState.DONE, JobState.HELD}:
        return
    kind = {
        JobState.CANCELLED: JobCancelled,
        JobState.EXPIRED: JobExpired,
        JobState.UNKNOWN: OutcomeUnknown,
    }.get(status.state, JobFailed)
    error = dict(status.error or {})
    reason = error.pop("message", f"It ended as {status.state}.")
    error.pop("code", None)
    raise kind(f"Job {status.id} did not succeed. {reason}", job=status.id, **error)


def is_visible(principal: Principal, status: JobStatus) -> bool:
    """Return whether a job exists for who asks: in their scopes, and for an app its own."""
    if not principal.sees_all_jobs and status.app != principal.name:
        return False
    return decide(principal, Action.LOOK, status.provider, status.resource).allowed


def visible(principal: Principal, status: JobStatus) -> JobStatus:
    """Return the status, or raise `UnknownJob` as for one that does not exist."""
    if not is_visible(principal, status):
        raise jobs.unknown(status.id)
    return status


def read_status(session: Session, job_id: str) -> JobStatus:
    """Return the status of a job; `UnknownJob` where there is none."""
    job = jobs.get(session, job_id)
    counts = session.execute(
        select(tables.Call.state, func.count())
        .where(tables.Call.job_id == job_id)
        .group_by(tables.Call.state)
    )
    return status_of(job, {row[0]: row[1] for row in counts})


def read_statuses(session: Session, job_ids: Sequence[str]) -> list[JobStatus]:
    """Return the statuses of jobs in the order of their ids, in two statements for any number."""
    jobs_of_ids = session.scalars(select(tables.Job).where(tables.Job.id.in_(job_ids)))
    found = {job.id: job for job in jobs_of_ids}
    counts: dict[str, dict[str, int]] = {}
    rows = session.execute(
        select(tables.Call.job_id, tables.Call.state, func.count())
        .where(tables.Call.job_id.in_(job_ids))
        .group_by(tables.Call.job_id, tables.Call.state)
    )
    for job_id, state, count in rows:
        counts.setdefault(job_id, {})[state] = count
    known = [job_id for job_id in job_ids if job_id in found]
    return [status_of(found[job_id], counts.get(job_id, {})) for job_id in known]


def status_of(job: tables.Job, calls: Mapping[str, int]) -> JobStatus:
    """Return the status that a job's row and its calls by state make."""
    same = (
        "id", "kind", "app", "provider", "resource", "mode", "accepted_at", "started_at",
        "ended_at", "expires_at", "complete", "note", "error", "dead",
        "retried_as", "rows_seen", "inserted", "updated", "deleted", "calls_made", "throttled",
    )  # fmt: skip
    return JobStatus(
        state=JobState(job.state),
        priority=Priority(job.priority),
        calls=calls,
        **{name: getattr(job, name) for name in same},
    )
