"""What the answer of a call teaches the limiter: how long to stay away, and the pace after that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import structlog

from sisgate.admission.throttle import ThrottleDecision, ThrottleSignal, decide
from sisgate.audit import log as audit
from sisgate.domain.rates import parse_rate_hint
from sisgate.errors import BrokerUnavailable
from sisgate.providers.dialect import HttpResponse
from sisgate.settings import ProviderConfig
from workers.admission.permits import Permit
from workers.runtime import Runtime

log = structlog.get_logger()


def learn(
    runtime: Runtime, config: ProviderConfig, permit: Permit, response: HttpResponse | None
) -> float:
    """Tell the limiter that the call has ended and what came back; return the seconds to wait.

    The seconds are those for which the provider asked us to stay away, 0 for none. A Redis that
    fails now does not cost the answer: the permit then counts to the end of its lease.
    """
    status = response.status if response else None
    latency = runtime.latency_of(config.name, response.elapsed_seconds if response else None)
    headers = response.headers if response else {}
    now = runtime.clock.now()
    try:
        runtime.limiter.finish(config.name, permit.id)
        left = _permits_left(runtime, config, headers, now)
        decision = decide(permit.factor, ThrottleSignal(status, headers, latency, left), now)
        # What the provider asks for is always heeded; the pace is ours to lower, or only to tell.
        if decision.block_seconds > 0:
            runtime.limiter.block(config.name, decision.block_seconds, f"answered {status}")
        if decision.factor != permit.factor and config.adaptive != "off":
            _change_pace(runtime, config, permit, decision, status)
    except BrokerUnavailable:
        decision = decide(permit.factor, ThrottleSignal(status, headers, latency), now)
    return decision.block_seconds


def _permits_left(
    runtime: Runtime, config: ProviderConfig, headers: Mapping[str, str], now: datetime
) -> int | None:
    """Return what our own windows have left, where the provider tells what its own have."""
    if parse_rate_hint(headers, now).remaining is None:
        return None
    windows = runtime.limiter.state(config.name, runtime.limits(config)).windows
    return min((window.left for window in windows), default=None)


def _change_pace(
    runtime: Runtime,
    config: ProviderConfig,
    permit: Permit,
    decision: ThrottleDecision,
    status: int | None,
) -> None:
    is_shadow = config.adaptive == "shadow"
    changed = is_shadow or runtime.limiter.set_factor(
        config.name, decision.factor, was=permit.factor
    )
    log.info(
        "pace_would_change" if is_shadow else "pace_changed",
        provider=config.name,
        before=round(permit.factor, 3),
        after=round(decision.factor, 3),
        reason=decision.reason,
    )
    # Recovery comes in many small steps; its end tells enough.
    if not changed or is_shadow or permit.factor < decision.factor < 1:
        return
    with runtime.database.write() as session:
        audit.record(
            session,
            runtime.clock.now(),
            actor="worker",
            action="limits:provider:pace",
            subject=config.name,
            reason=decision.reason,
            before=round(permit.factor, 3),
            after=round(decision.factor, 3),
            status=status,
        )
