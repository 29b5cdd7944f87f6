"""The answer to a request: sealing its body, and ending its job with it."""

from datetime import datetime

from sqlalchemy.orm import Session

from sisgate.audit import events
from sisgate.credentials.sealed import marks_of
from sisgate.domain.states import CallState, JobState
from sisgate.ledger import call_statements, jobs
from sisgate.ledger.calls import HTML_PAGE
from sisgate.ledger.schema import Job, Response
from workers.calls.context import Answered, CallContext, ErrorPayload
from workers.calls.ending import Ending, LateWriter, SealedResponse

# fmt: off
RESPONSE_HEADERS = frozenset(
    [
        "accept-ranges", "allow", "cache-control", "content-disposition", "content-language",
        "content-range", "content-type", "etag", "expires", "last-modified", "link", "location",
        "retry-after", "vary", "x-total-count",
    ]
)
# fmt: on
"""Headers of a provider's response that are passed on to the app."""


def sealed(call: CallContext, answered: Answered) -> SealedResponse:
    """Seal the body of a response to store; this is slow, so it is done before locks."""
    fleet, vault, job = call.runtime.configuration.current(), call.runtime.vault, call.claim.job
    response, most = answered.response, fleet.response_max_bytes
    values = {
        "job_id": job.id,
        "status": response.status,
        "headers": {k: v for k, v in response.headers.items() if k in RESPONSE_HEADERS},
        "sealed_body": vault.seal(response.body[:most], f"responses/{job.id}"),
        "asked": marks_of(vault, job.provider, call.target)[0],
        "truncated": len(response.body) > most,
    }
    return SealedResponse(values, fleet.response_retention)


def unasked_page(call: CallContext, answered: Answered) -> ErrorPayload | None:
    """Return what to note of a good answer that is a page for people, unless one was asked for.

    The app gets it as it is, as if it had called the provider itself.
    """
    response = answered.response
    wanted = (text for name, text in call.request.headers if name.lower() == "accept")
    if not response.is_page or response.status >= 300 or any("html" in each for each in wanted):
        return None
    message = (
        "The answer is an HTML page in place of data. Perhaps it is a log-in or maintenance page, "
        "or the path is none of its API."
    )
    return {"code": HTML_PAGE, "message": message, "status": response.status}


def end_job(session: Session, ending: Ending, answered: Answered, now: datetime) -> JobState | None:
    """End an answered request in few statements; return its job's new state.

    None if the job has already ended: then nothing is written, and the full rules apply.
    """
    claim, error = ending.claim, answered.error
    state = call_statements.lock_job(session, claim.job.id)
    if state is None or JobState(state).is_final:
        return None
    assert ending.response is not None
    call_state = CallState.DONE if error is None else CallState.FAILED
    job_state = JobState.DONE if error is None else JobState.FAILED
    facts = ending.facts
    call = {
        "id": claim.call.id, "attempt": claim.call.attempt,
        "error": error or unasked_page(ending.call, answered),
        "state": call_state.value, **facts,
    }  # fmt: skip
    job = {"state": job_state.value, "error": error, "sent": ending.call.sent}
    if not call_statements.end_answered(session, call, job, ending.response.row(now), now):
        raise LateWriter
    events.call_ended(session, claim, call_state.value, now, error=error, **facts, **ending.told)
    return job_state


def store(session: Session, ending: Ending, answered: Answered, job: Job, now: datetime) -> None:
    """Store the response and end a locked job with it, whatever state it is in."""
    assert ending.response is not None
    session.merge(Response(**ending.response.row(now)))
    state = JobState.DONE if answered.error is None else JobState.FAILED
    jobs.end(session, job, state, now, error=answered.error)
