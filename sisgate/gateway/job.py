"""Reading the status of jobs, and who may see it."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy.orm import Session

from sisgate.access.policy import Action, Principal, decide
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobState
from sisgate.errors import UnknownJob, UsageError
from sisgate.gateway.core import Core
from sisgate.gateway.job_status import JobStatus
from sisgate.ledger import deletions, jobs
from sisgate.ledger import schema as tables
from sisgate.ledger.answers import AnsweredJob
from sisgate.ledger.job_calls import counts_by_state
from sisgate.ledger.job_search import of_ids
from sisgate.tracing import trace_id_of


def is_visible(principal: Principal, status: JobStatus | AnsweredJob) -> bool:
    """Return whether a job is in the caller's scopes and, for an app, its own."""
    if not principal.sees_all_jobs and status.app != principal.name:
        return False
    return decide(principal, Action.LOOK, status.provider, status.resource).allowed


def own_app(principal: Principal) -> str | None:
    """Return the only app whose jobs the caller may see; None for all apps."""
    return None if principal.sees_all_jobs else principal.name


def places_of(principal: Principal) -> list[tuple[str, str]]:
    """Return the providers and resources whose jobs the caller may see."""
    return [(scope.provider, scope.resource) for scope in principal.scopes]


def only_id(ids: Sequence[str], beginning: str) -> str:
    """Return the one of some ids that begin so; `UnknownJob` for none, `UsageError` for several."""
    if not ids:
        raise UnknownJob(f"No job's id begins with {beginning}. See `sisgate jobs list`.")
    if beginning in ids:
        return beginning
    if len(ids) > 1:
        several = ", ".join(job_id[: len(beginning) + 4] for job_id in ids)
        raise UsageError(
            f"Several jobs begin with {beginning} ({several}, …): give more of the id."
        )
    return ids[0]


def visible(principal: Principal, status: JobStatus) -> JobStatus:
    """Return the status, or raise `UnknownJob` as if it did not exist."""
    if not is_visible(principal, status):
        raise jobs.unknown(status.id)
    return status


def visible_status(core: Core, job_id: str) -> JobStatus:
    """Return the status of a job that the caller may see; `UnknownJob` otherwise."""
    principal = core.access.require_role(Action.LOOK)
    with core.database.read() as session:
        status = read_status(session, job_id)
    return visible(principal, status)


def read_status(session: Session, job_id: str) -> JobStatus:
    """Return the status of a job; `UnknownJob` if there is none."""
    job = jobs.get(session, job_id)
    counts = counts_by_state(session, [job_id]).get(job_id, {})
    return status_of(job, counts, deletions.settled(session, *_held([job])).get(job_id))


def read_statuses(session: Session, job_ids: Sequence[str]) -> list[JobStatus]:
    """Return the statuses of jobs in the order of their ids, with few statements."""
    rows = of_ids(session, job_ids)
    counts = counts_by_state(session, job_ids)
    return statuses_of(session, [rows[each] for each in job_ids if each in rows], counts)


def statuses_of(
    session: Session, rows: Sequence[tables.Job], counts: Mapping[str, Mapping[str, int]]
) -> list[JobStatus]:
    """Return the statuses of jobs from their rows, and their calls by state where these count."""
    known = deletions.settled(session, *_held(rows))
    return [status_of(row, counts.get(row.id, {}), known.get(row.id)) for row in rows]


def _held(rows: Sequence[tables.Job]) -> list[str]:
    return [row.id for row in rows if row.state == JobState.HELD]


def status_of(
    job: tables.Job, calls: Mapping[str, int], settled: deletions.Settled | None = None
) -> JobStatus:
    """Return the status from a job's row, its calls by state, and what settled it if held."""
    own: dict[str, Any] = {
        "state": JobState(job.state),
        "priority": Priority(job.priority),
        "calls": calls,
        "trace": trace_id_of(job.traceparent),
        "settled_by": settled.by if settled is not None else None,
        "settled_at": settled.at if settled is not None else None,
    }
    same = [field.name for field in fields(JobStatus) if field.name not in own]
    return JobStatus(**own, **{name: getattr(job, name) for name in same})
