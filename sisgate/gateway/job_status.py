"""The status of a job, and what its end means. Pure."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from sisgate.domain.priorities import Priority
from sisgate.domain.states import CallState, JobState
from sisgate.errors import (
    InvalidState,
    JobCancelled,
    JobExpired,
    JobFailed,
    OutcomeUnknown,
    UsageError,
)

if TYPE_CHECKING:
    from sisgate.gateway.answer import Answer


@dataclass(frozen=True)
class JobStatus:
    """The state of a job in the ledger.

    `calls` counts its calls by state. `complete` is None until a sync ends, then whether it read
    the whole dataset; `note` says why not, or holds other remarks. `error` has `code`, `message`
    and ids. `dead`: sisgate gave it up. `retried_as` is the id of the job that retries it. `shared`
    counts the further requests that a request's call answered. `trace` is the id of its trace.
    `settled_by` is the later sync that decided on the deletions of a held one, and `settled_at`
    when that ended; None while they wait for approval.
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
    shared: int = 0
    trace: str | None = None
    settled_by: str | None = None
    settled_at: datetime | None = None

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

    @property
    def cursor(self) -> str:
        """Its place in lists of jobs: `jobs.list(after=…)` continues behind it."""
        place = f"{self.accepted_at.isoformat()} {self.id}"
        return urlsafe_b64encode(place.encode()).decode().rstrip("=")

    def as_dict(self) -> dict[str, Any]:
        """Return the status JSON-ready, times as ISO 8601."""
        values = {
            **asdict(self), "priority": self.priority.word, "state": self.state.value,
            "progress": self.progress, "is_final": self.is_final,
        }  # fmt: skip
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in values.items()}


@dataclass(frozen=True)
class DeadLetter:
    """A job that sisgate gave up, with the most tries and lost workers of any of its calls."""

    job: JobStatus
    tries: int
    lost_workers: int

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    def as_dict(self) -> dict[str, Any]:
        """Return the job's status JSON-ready, with both numbers."""
        return {**self.job.as_dict(), "tries": self.tries, "lost_workers": self.lost_workers}


def read_cursor(text: str) -> tuple[datetime, str]:
    """Return the time and the id that a `JobStatus.cursor` holds; `UsageError` for another text."""
    with suppress(ValueError):
        place = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        at, _, job_id = place.partition(" ")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is not None and job_id:
            return moment, job_id
    raise UsageError("This is not the cursor of a list of jobs: begin again without one.")


def raise_unless_successful(status: JobStatus) -> None:
    """Raise the error for a job's final state; nothing for `done` and `held`."""
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


class _Jobs(Protocol):
    def status(self, job_id: str) -> JobStatus: ...

    def answer(self, job_id: str, *, purpose: str | None = None) -> Answer: ...


def answer_if_ended(jobs: _Jobs, job_id: str, purpose: str | None) -> Answer | None:
    """Return the answer of a request's job; None if it has not ended. Raises why it has none."""
    with suppress(InvalidState):
        return jobs.answer(job_id, purpose=purpose)
    status = jobs.status(job_id)
    if not status.is_final:
        return None
    try:
        return jobs.answer(job_id, purpose=purpose)  # it may have ended between the two
    except InvalidState:
        raise_unless_successful(status)
        raise
