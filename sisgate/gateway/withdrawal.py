"""Ending a request whose caller waits no longer."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from sisgate.audit import events
from sisgate.domain.states import JobState
from sisgate.gateway.core import Core
from sisgate.gateway.liveness import why_waiting
from sisgate.ledger import call_queue, job_calls, jobs
from sisgate.ledger.schema import Job


def withdraw(core: Core, job_id: str, provider: str, *, actor: str | None = None) -> bool:
    """End a request as its deadline would; return whether it was live.

    It is `expired`, with what it waited for, or `unknown` where the provider may be carrying out
    what was asked. `actor` is set if that was asked for, and not the end of a timeout.
    """
    why = why_waiting(core.context, provider)
    with core.database.write() as session:
        job = jobs.lock(session, job_id)
        if job is None or JobState(job.state).is_final:
            return False
        now = core.clock.now()
        call_queue.withdraw(session, job.id, now)
        jobs.end_unanswered(session, job, now, _no_answer(session, job, why))
        if actor is not None:
            events.job_changed(session, job, "withdraw", now, actor=actor)
    return True


def _no_answer(session: Session, job: Job, why: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the error of a job after withdrawing the calls that had not begun."""
    is_under_way, tries = bool(job_calls.running(session, job.id)), job.calls_made
    if is_under_way:
        end = "gave no answer in time. The call is in flight; its response is discarded."
    elif tries:
        end = f"gave no good answer in time, to {tries:,} tr{'y' if tries == 1 else 'ies'}."
    else:
        end = "could not be called in time."
    fate = "" if is_under_way else " The call has been withdrawn."
    if why is not None and not is_under_way:
        message = f"{job.provider} {end} {why['message']}{fate}"
        return {"code": "job_expired", "message": message, "cause": why["cause"]}
    return {
        "code": "job_expired",
        "message": f"{job.provider} {end}{fate} Use a longer timeout, or see "
        "`sisgate providers` for what holds it up.",
    }
