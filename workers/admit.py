"""The seam to admission: a permit for a call, and what its answer teaches the limiter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import structlog

from sisgate.admission.limiter import PERMIT_USE_SECONDS
from sisgate.admission.spec import LedgerCall
from sisgate.admission.throttle import Answer, Decision, decide
from sisgate.audit import log as audit
from sisgate.domain.priorities import Priority
from sisgate.ledger import calls as ledger
from sisgate.ledger import controls
from sisgate.ledger.calls import Claim
from sisgate.providers.dialect import HttpResponse
from sisgate.settings import ProviderConfig
from workers.runtime import Runtime

log = structlog.get_logger()

UNKNOWN_LIMITS = "sisgate:1:limits-unknown"
"""Providers whose limiter has lost its state, each with the time at which that was noticed."""


@dataclass(frozen=True)
class Permit:
    """A permit in hand, and the adaptive factor under which it was granted."""

    id: str
    factor: float
    granted_at: float

    @classmethod
    def of_message(cls, headers: Mapping[str, Any] | None) -> Self | None:
        """Return the permit that admission put into a message, or None if it came without."""
        return cls(**headers) if headers else None

    def is_fresh(self, now: datetime) -> bool:
        """Whether it may still be used; see `PERMIT_USE_SECONDS`."""
        return now.timestamp() - self.granted_at < PERMIT_USE_SECONDS


def take(runtime: Runtime, config: ProviderConfig, claim: Claim) -> Permit | None:
    """Return a permit for a call that came without one, or None after it was told to wait.

    Admission hands over each message with its permit. This is the way of those that came another
    way, or whose permit grew too old; waiting spends no attempt.
    """
    now = runtime.clock.now()
    spec = runtime.limits(config)
    grant = runtime.limiter.take(config.name, spec, Priority(claim.call.priority))
    if grant:
        with runtime.database.write() as session:
            ledger.note_permit(session, claim.call, grant.permits[0])
        return Permit(grant.permits[0], grant.factor, now.timestamp())
    if grant.reason == "unknown":
        note_unknown(runtime, config.name)
    wait = timedelta(seconds=max(0.05, grant.wait_seconds))
    with runtime.database.write() as session:
        ledger.release(session, claim.call, not_before=now + wait)
    log.info("call_waits", call=claim.call.id, provider=config.name, reason=grant.reason)
    return None


def finish(
    runtime: Runtime, config: ProviderConfig, permit: Permit, response: HttpResponse | None
) -> float:
    """Tell the limiter that the call has ended and what came back; return the seconds to wait.

    The seconds are those for which the provider asked us to stay away, 0 for none.
    """
    runtime.limiter.finish(config.name, permit.id)
    status = response.status if response else None
    latency = runtime.latency_of(config.name, response.elapsed_seconds if response else None)
    answer = Answer(status, response.headers if response else {}, latency)
    decision = decide(permit.factor, answer, runtime.clock.now())
    # What the provider asks for is always heeded; the pace is ours to lower, or only to tell.
    if decision.block_seconds > 0:
        runtime.limiter.block(config.name, decision.block_seconds, f"answered {status}")
    if decision.factor != permit.factor and config.adaptive != "off":
        _change_pace(runtime, config, permit, decision, status)
    return decision.block_seconds


def _change_pace(
    runtime: Runtime,
    config: ProviderConfig,
    permit: Permit,
    decision: Decision,
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
    if not changed or is_shadow:
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


def note_unknown(runtime: Runtime, provider: str) -> None:
    """Ask the reconciler to rebuild the limiter's state."""
    runtime.redis.hsetnx(UNKNOWN_LIMITS, provider, runtime.clock.now().timestamp())


def rebuild_unknown(runtime: Runtime) -> None:
    """Begin counting with what the ledger knows, where Redis has lost it.

    Permits granted before are used within `PERMIT_USE_SECONDS`, so the ledger is read only that
    long after the loss was noticed: then each of them is an attempt there.
    """
    now = runtime.clock.now()
    for name, noticed in runtime.redis.hgetall(UNKNOWN_LIMITS).items():
        config = runtime.settings.providers.get(name.decode())
        if config is not None and now.timestamp() - float(noticed) < PERMIT_USE_SECONDS:
            continue
        if config is not None:
            _rebuild(runtime, config, now)
            runtime.wakeups.signal_work(config.name)
        runtime.redis.hdel(UNKNOWN_LIMITS, name)


def _rebuild(runtime: Runtime, config: ProviderConfig, now: datetime) -> None:
    spec = runtime.limits(config)
    since = now - timedelta(seconds=spec.longest_period_seconds + spec.lease_seconds)
    with runtime.database.read() as session:
        attempts = ledger.recent_attempts(session, config.name, since)
        control = controls.get(session, config.name)
    # What was set at run time comes first: from the rebuild on, permits are granted by it.
    if (windows := controls.windows_of(control)) is not None:
        runtime.limiter.set_limits(config.name, windows)
    if control is not None and control.paused:
        runtime.limiter.pause(config.name, control.paused_until)
    known = [LedgerCall(a.started_at, a.ended_at, a.lease_until, a.permit) for a in attempts]
    if runtime.limiter.rebuild(config.name, spec, known):
        log.info("limiter_rebuilt", provider=config.name, calls=len(known))
