"""Failover: the same call once more at another endpoint, with a permit of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog

from sisgate.audit import events
from sisgate.domain.priorities import Priority
from sisgate.errors import BrokerUnavailable, CircuitOpen
from sisgate.ledger import calls, failover
from sisgate.ledger.calls import Claim
from sisgate.providers.dialect import HttpRequest
from sisgate.settings import ProviderConfig
from workers.admission.permits import LEAST_SECONDS, Permit
from workers.calls.reply import Reply
from workers.endpoints import Route
from workers.runtime import Runtime

log = structlog.get_logger()


def begin(
    runtime: Runtime,
    config: ProviderConfig,
    claim: Claim,
    request: HttpRequest,
    reply: Reply,
    tried: Sequence[str],
    ends_at: float,
) -> tuple[Permit, Route] | None:
    """Return permit and endpoint for a second request of a call, or None where there is none.

    The first one has failed and may be repeated. None means: no time left, no other endpoint that
    may be called, no permit now, or no room in the budget for retries. Then the call is tried
    again later, in its turn.
    """
    now = runtime.clock.now()
    deadline = claim.job.expires_at
    if len(tried) >= len(config.endpoints) or (deadline is not None and deadline <= now):
        return None
    if ends_at - runtime.clock.monotonic() < LEAST_SECONDS:
        return None
    endpoints = runtime.endpoints(config)
    try:
        route = endpoints.open(request.path, tried, may_probe=False)
    except (CircuitOpen, BrokerUnavailable):
        return None
    # Where a health path is the probe, a call is not.
    is_free = not (route.is_probe and config.health)
    permit = _permit(runtime, config, claim, reply) if is_free else None
    if permit is None:
        endpoints.close_unused(route)
        return None
    log.info("call_fails_over", call=claim.call.id, provider=config.name, endpoint=route.url)
    return permit, route


def with_next_key(
    runtime: Runtime, config: ProviderConfig, claim: Claim, reply: Reply, ends_at: float
) -> Permit | None:
    """Return a permit for the same request once more with another key; None for none now.

    The provider refused the first key, so it has not carried out the request. None means as for
    `begin`; the claim may have been lost too.
    """
    now = runtime.clock.now()
    deadline = claim.job.expires_at
    if (deadline is not None and deadline <= now) or (
        ends_at - runtime.clock.monotonic() < LEAST_SECONDS
    ):
        return None
    permit = _permit(runtime, config, claim, reply)
    if permit is not None:
        log.info("call_takes_next_key", call=claim.call.id, provider=config.name)
    return permit


def for_control(
    runtime: Runtime, config: ProviderConfig, claim: Claim, reply: Reply
) -> Permit | None:
    """Return a permit for a control request after a call has failed; None for none now."""
    deadline = claim.job.expires_at
    if deadline is not None and deadline <= runtime.clock.now():
        return None
    return _permit(runtime, config, claim, reply)


def _permit(runtime: Runtime, config: ProviderConfig, claim: Claim, reply: Reply) -> Permit | None:
    priority, asked_at = Priority(claim.call.priority), runtime.clock.monotonic()
    try:
        grant = runtime.limiter.take(config.name, runtime.limits(config), priority)
    except BrokerUnavailable:
        return None
    if not grant:
        return None
    now = runtime.clock.now()
    lease = timedelta(seconds=config.lease)
    with runtime.database.write() as session:
        if not reply.was_sent:
            calls.forget_attempt(session, claim.call)
        former = claim.call.attempt
        is_mine = failover.begin_again(
            session,
            claim.call,
            now,
            lease,
            permit=grant.permits[0],
            policy=config.retry.policy,
            status=reply.status,
        )
        if is_mine:
            events.call_failed_over(session, claim, former, now, status=reply.status, key=reply.key)
    if not is_mine:
        runtime.limiter.hand_back(config.name, grant.permits[0])
        return None
    return Permit.of_grant(grant, asked_at)
