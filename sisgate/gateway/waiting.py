"""What a live job waits for."""

from datetime import datetime, timedelta

from sisgate.domain.figures import duration
from sisgate.domain.priorities import Priority
from sisgate.domain.states import CallState
from sisgate.errors import BrokerUnavailable, JobExpired, ProviderUnavailable, SisgateError
from sisgate.gateway.availability import hold_of
from sisgate.gateway.core import Core
from sisgate.gateway.forecast import plan_rest
from sisgate.gateway.job_status import JobStatus
from sisgate.gateway.liveness import Liveness, read_liveness
from sisgate.gateway.wait import Wait
from sisgate.ledger import job_calls
from sisgate.liveness.heartbeats import EVERY_SECONDS
from sisgate.liveness.obstacles import sentences

LEAST_WAIT = timedelta(seconds=1)
"""Shorter waits for quota are not reported."""


def wait_of(core: Core, status: JobStatus) -> Wait | None:
    """Return what a job waits for; None if it has ended or has a call in flight.

    Obstacles of the fleet come first, then a hold of the provider. Raises `BrokerUnavailable` if
    Redis goes away meanwhile.
    """
    if status.is_final:
        return None
    liveness = read_liveness(core.context, [status.provider])
    obstacles = liveness.stopping(status.provider)
    if obstacles:
        return Wait("down", None, obstacles=obstacles)
    hold = hold_of(core.context, core.provider(status.provider))
    if hold is not None:
        return Wait(hold.reason, hold.next_probe_at, hold, failure=hold.failure)
    if status.calls.get(CallState.RUNNING):
        lost_until = _lost_until(core, liveness, status)
        return Wait("lost", lost_until) if lost_until else None
    now = core.clock.now()
    with core.database.read() as session:
        waiting = job_calls.waiting(session, status.id)
        failure = job_calls.last_failure(session, job_id=status.id)
    # Failures that are the provider's fault spend no try, so tries do not tell retries.
    again = [at for error, at in waiting if error and at is not None and at > now]
    if again and len(again) == len(waiting):
        return Wait("retry", min(again), failure=failure)
    begins = plan_rest(core, status.id).starts_at
    now = core.clock.now()  # reading the queue may have taken a while
    return Wait("quota", begins) if begins and begins - now >= LEAST_WAIT else None


def _lost_until(core: Core, liveness: Liveness, status: JobStatus) -> datetime | None:
    """Return when the first lease of a job's running calls ends if nobody makes any of them.

    None if a live worker has one, or may have: calls are younger than two heartbeats, or a worker
    does not tell which ones it has.
    """
    alive = [each for each in liveness.fleet.processes if each.is_alive] if liveness.fleet else []
    workers = [each for each in alive if each.kind == "worker"]
    if liveness.fleet is None or any(each.calls is None for each in workers):
        return None
    held = {call for each in workers for call in each.calls or ()}
    told = core.clock.now() - timedelta(seconds=2 * EVERY_SECONDS)
    with core.database.read() as session:
        running = job_calls.running(session, status.id)
    leases = [lease for _, _, lease in running if lease is not None]
    is_lost = all(start and start < told and call not in held for call, start, _ in running)
    return min(leases, default=None) if is_lost else None


def why_unanswered(core: Core, provider: str, error: JobExpired) -> SisgateError:
    """Return the error that names the cause: provider, fleet, quota, or time alone."""
    job = error.detail.get("job")
    failure = None
    if isinstance(job, str):
        with core.database.read() as session:
            failure = job_calls.last_error(session, job)
    if failure is not None:
        return ProviderUnavailable(
            f"{provider} gave no answer in time. The last try: {failure} "
            "You can try again; `sisgate doctor` checks the provider.",
            provider=provider,
            job=job,
        )
    stopping = read_liveness(core.context, [provider]).stopping(provider)
    if stopping:
        text = f"{sentences(stopping)} The call was not made and has been withdrawn."
        return BrokerUnavailable(text, provider=provider, job=job, cause=stopping[0].cause.value)
    held = _what_holds(core, provider)
    if held is not None:
        text = f"{held} The call was not made and has been withdrawn."
        return JobExpired(text, provider=provider, job=job)
    return error


def _what_holds(core: Core, provider: str) -> str | None:
    config = core.provider(provider)
    hold = hold_of(core.context, config)
    if hold is not None:
        return f"{provider} takes no calls: {hold.explanation(provider)}"
    state = core.limiter.state(provider, core.context.limits(config))
    seconds = state.next_permit_in_seconds.get(Priority.URGENT, 0.0)
    if not state.known or seconds < LEAST_WAIT.total_seconds():
        return None
    return f"{provider} has no quota left: the next call can be made in {duration(seconds)}."
