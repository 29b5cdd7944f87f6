"""Whether a provider takes calls now, for apps that do not wait."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast, get_args

from sisgate.admission.state import LimiterState
from sisgate.breakers.fleet import first_to_pass
from sisgate.breakers.spec import BreakerView
from sisgate.context import Context
from sisgate.domain.choices import OnUnavailable
from sisgate.domain.validation import chosen
from sisgate.errors import DatabaseUnavailable
from sisgate.gateway.hold import Hold
from sisgate.ledger import job_calls
from sisgate.redis.scripts import run_scripts
from sisgate.settings import ProviderConfig


def on_unavailable_of(word: str) -> OnUnavailable:
    """Return a valid value of `on_unavailable`; `UsageError` otherwise."""
    return cast("OnUnavailable", chosen("on_unavailable", get_args(OnUnavailable), word))


def hold_of(context: Context, config: ProviderConfig) -> Hold | None:
    """Return what blocks every call of a provider now; None for nothing.

    Of several, the one that ends last. A breaker whose probe is due is no hold: the caller's call
    may be the probe. Neither is used-up quota, which only delays work.
    Raises `BrokerUnavailable`.
    """
    return holds_of(context, [config]).get(config.name)


def holds_of(context: Context, configs: Sequence[ProviderConfig]) -> dict[str, Hold]:
    """Return by provider what blocks its calls, as `hold_of` does, in two round trips."""
    states = context.limiter.states({each.name: context.limits(each) for each in configs})
    breakers = [context.breakers(config) for config in configs]
    answers = run_scripts(context.redis, [each.views_call() for each in breakers])
    found = {}
    for config, breaker, answer in zip(configs, breakers, answers, strict=True):
        held = first_to_pass(breaker.read_views(answer))
        hold = _hold(context, config, states[config.name], held)
        if hold is not None:
            found[config.name] = hold
    return found


def _hold(
    context: Context, config: ProviderConfig, state: LimiterState, held: BreakerView | None
) -> Hold | None:
    now = context.clock.now()
    holds = []
    if state.paused_until is not None and state.paused_until > now:
        endless = state.paused_until == datetime.max.replace(tzinfo=UTC)
        holds.append(Hold("paused", None if endless else state.paused_until))
    if held is not None and held.wait_seconds > 0:
        endless = held.wait_seconds == float("inf")
        end = None if endless else now + timedelta(seconds=held.wait_seconds)
        failure = None if held.pinned else _last_failure(context, config.name)
        holds.append(Hold("breaker", end, held.pinned, failure))
    if state.blocked_seconds > 0:
        holds.append(Hold("blocked", now + timedelta(seconds=state.blocked_seconds)))
    return max(holds, key=_end, default=None)


def _last_failure(context: Context, provider: str) -> str | None:
    try:
        with context.database.read() as session:
            return job_calls.last_failure(session, provider=provider)
    except DatabaseUnavailable:
        return None  # the hold is known anyway


def _end(hold: Hold) -> datetime:
    return hold.next_probe_at or datetime.max.replace(tzinfo=UTC)
