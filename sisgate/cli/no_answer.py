"""Why a job got no answer in time: what stood in its way, as far as can be seen from here."""

from __future__ import annotations

import redis
from sqlalchemy import select

from sisgate.cli.hold_words import hold_words
from sisgate.cli.invocation import Invocation
from sisgate.cli.screens import duration
from sisgate.domain.priorities import Priority
from sisgate.domain.queues import PLANNER_QUEUE
from sisgate.errors import BrokerUnavailable, JobExpired, ProviderUnavailable, SisgateError
from sisgate.ledger.schema import Call

LISTENING = {"brpop", "bzmpop"}
"""What a worker at rest waits in. One that works comes back to it."""

WORTH_TELLING_SECONDS = 1.0
"""A wait for a permit is told as the cause from this length on."""


def no_answer(invocation: Invocation, provider: str, error: JobExpired) -> SisgateError:
    """Return the error that tells the cause: provider, Redis, worker, quota, or time alone."""
    job = error.detail.get("job")
    failure = _last_failure(invocation, job) if isinstance(job, str) else None
    if failure is not None:
        return ProviderUnavailable(
            f"{provider} gave no answer in time. The last try: {failure} "
            "It may be tried again; `sisgate doctor` examines the provider.",
            provider=provider,
            job=job,
        )
    obstacle = what_is_down(invocation)
    if obstacle is not None:
        return BrokerUnavailable(
            f"{obstacle} The call was not made and has been withdrawn.", provider=provider, job=job
        )
    held = _what_holds(invocation, provider)
    if held is not None:
        text = f"{held} The call was not made and has been withdrawn."
        return JobExpired(text, provider=provider, job=job)
    return error


def what_is_down(invocation: Invocation) -> str | None:
    """Return a sentence about what of ours does not run and holds jobs up, or None."""
    try:
        invocation.redis.ping()
        if any(c.get("cmd") in LISTENING for c in invocation.redis.client_list()):
            return None
        # A worker whose every slot works does not listen for the moment; it holds the messages.
        if invocation.redis.exists("unacked"):
            return None
    except redis.RedisError:
        return "Redis cannot be reached. Start `sisgate up`, or check SISGATE_BROKER_URL."
    return (
        f"No worker runs: nobody listens at the queue {PLANNER_QUEUE}. Start `sisgate up`, or a "
        "worker of the fleet."
    )


def _what_holds(invocation: Invocation, provider: str) -> str | None:
    hold = invocation.gateway.hold(provider)
    if hold is not None:
        return f"{provider} takes no calls: {hold_words(hold, provider)}"
    state = invocation.limiter_state(invocation.gateway.provider(provider))
    seconds = state.next_permit_in_seconds.get(Priority.URGENT, 0.0)
    if not state.known or seconds < WORTH_TELLING_SECONDS:
        return None
    return f"{provider} has no quota left: the next call can be made in {duration(seconds)}."


def _last_failure(invocation: Invocation, job: str) -> str | None:
    """Return the words of the last error that a call of a job met, or None."""
    with invocation.database.read() as session:
        errors = session.scalars(
            select(Call.error).where(Call.job_id == job, Call.error.is_not(None)).order_by(Call.id)
        )
        found = [str(error["message"]) for error in errors if error and error.get("message")]
    return found[-1] if found else None
