"""The seam to admission: a permit for a claimed call, and what its answer teaches the limiter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog

from sisgate.admission.limiter import PERMIT_USE_SECONDS
from sisgate.admission.provider_limits import limits_of
from sisgate.admission.spec import LedgerCall, LimitSpec
from sisgate.admission.throttle import Answer, decide
from sisgate.broker import Limits
from sisgate.domain.priorities import Priority
from sisgate.ledger import calls as ledger
from sisgate.ledger.calls import Claim
from sisgate.providers.dialect import HttpResponse
from sisgate.settings import ProviderConfig
from workers.runtime import Runtime

log = structlog.get_logger()

UNKNOWN_KEY = "sisgate:1:limit-unknown:{}"


@dataclass(frozen=True)
class Permit:
    """A permit in hand, and the adaptive factor under which it was granted."""

    id: str
    factor: float


def spec_of(config: ProviderConfig) -> LimitSpec:
    """Return the limits of a provider; a permit that is never finished counts for its lease."""
    return limits_of(config, Limits(config.timeout_seconds).lease)


def take(runtime: Runtime, config: ProviderConfig, claim: Claim) -> Permit | None:
    """Return a permit, or None after the call was told to wait. Waiting spends no attempt."""
    spec = spec_of(config)
    grant = runtime.limiter.take(config.name, spec, Priority(claim.call.priority))
    if grant:
        return Permit(grant.permits[0], grant.factor)
    if grant.reason == "unknown":
        rebuild(runtime, config, spec)
    now = runtime.clock.now()
    wait = timedelta(seconds=max(0.05, grant.wait_seconds))
    with runtime.database.write() as session:
        ledger.release(session, claim.call, not_before=now + wait)
    log.info(
        "call_waits", call=claim.call.id, provider=config.name, reason=grant.reason,
        seconds=round(wait.total_seconds(), 3),
    )  # fmt: skip
    return None


def finish(
    runtime: Runtime, config: ProviderConfig, permit: Permit, response: HttpResponse | None
) -> float:
    """Tell the limiter that the call has ended and what came back; return the seconds to wait.

    The seconds are those for which the provider asked us to stay away, 0 for none.
    """
    runtime.limiter.finish(config.name, permit.id)
    status = response.status if response else None
    answer = Answer(status, response.headers if response else {})
    decision = decide(permit.factor, answer, runtime.clock.now())
    if decision.block_seconds > 0:
        runtime.limiter.block(config.name, decision.block_seconds, f"answered {status}")
    if decision.factor != permit.factor:
        runtime.limiter.set_factor(config.name, decision.factor, was=permit.factor)
    return decision.block_seconds


def rebuild(runtime: Runtime, config: ProviderConfig, spec: LimitSpec) -> None:
    """Begin counting with what the ledger knows, once every permit of before is in it.

    Redis lost its state, or this is the first start. Permits granted before are used within
    `PERMIT_USE_SECONDS`, so the ledger is read only that long after the loss was noticed.
    """
    key = UNKNOWN_KEY.format(config.name)
    now = runtime.clock.now()
    first = runtime.redis.set(key, now.timestamp(), nx=True, ex=60)
    noticed = now.timestamp() if first else float(runtime.redis.get(key) or now.timestamp())
    if now.timestamp() - noticed < PERMIT_USE_SECONDS:
        return
    since = now - timedelta(seconds=spec.longest_period_seconds + spec.lease_seconds)
    with runtime.database.read() as session:
        attempts = ledger.recent_attempts(session, config.name, since)
    known = [LedgerCall(a.started_at, a.ended_at, a.lease_until) for a in attempts]
    if runtime.limiter.rebuild(config.name, spec, known):
        runtime.redis.delete(key)
        log.info("limiter_rebuilt", provider=config.name, calls=len(known))
