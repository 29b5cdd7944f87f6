"""Why a job got no answer in time: what stood in its way, as far as can be seen from here."""

from __future__ import annotations

from sqlalchemy import select

from sisgate.cli.commands.hold_words import hold_words
from sisgate.cli.invocation import Invocation
from sisgate.cli.screens import duration
from sisgate.domain.priorities import Priority
from sisgate.errors import BrokerUnavailable, JobExpired, ProviderUnavailable, SisgateError
from sisgate.gateway.liveness import read_liveness
from sisgate.ledger.schema import Call
from sisgate.liveness.obstacles import sentences
from sisgate.sync import flaws

WORTH_TELLING_SECONDS = 1.0
"""A wait for a permit is told as the cause from this length on."""


def no_answer(invocation: Invocation, provider: str, error: JobExpired) -> SisgateError:
    """Return the error that tells the cause: provider, fleet, quota, or time alone."""
    job = error.detail.get("job")
    failure = _last_failure(invocation, job) if isinstance(job, str) else None
    if failure is not None:
        return ProviderUnavailable(
            f"{provider} gave no answer in time. The last try: {failure} "
            "It may be tried again; `sisgate doctor` examines the provider.",
            provider=provider,
            job=job,
        )
    stopping = read_liveness(invocation.gateway.context, [provider]).stopping(provider)
    if stopping:
        text = f"{sentences(stopping)} The call was not made and has been withdrawn."
        return BrokerUnavailable(text, provider=provider, job=job, cause=stopping[0].cause.value)
    held = _what_holds(invocation, provider)
    if held is not None:
        text = f"{held} The call was not made and has been withdrawn."
        return JobExpired(text, provider=provider, job=job)
    return error


def _what_holds(invocation: Invocation, provider: str) -> str | None:
    hold = invocation.gateway.providers.hold(provider)
    if hold is not None:
        return f"{provider} takes no calls: {hold_words(hold, provider)}"
    state = invocation.limiter_state(invocation.gateway.providers.get(provider))
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
        # A page whose rows are not all usable came all the same: nothing waits for it.
        told = [error for error in errors if error and error.get("code") != flaws.CODE]
        found = [str(error["message"]) for error in told if error.get("message")]
    return found[-1] if found else None
