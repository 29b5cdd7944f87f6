"""Failover: the same call again at another endpoint, with its own permit."""

from datetime import timedelta

from sisgate.audit import events
from sisgate.domain.priorities import Priority
from sisgate.errors import BrokerUnavailable, CircuitOpen
from sisgate.ledger import attempts, retries
from sisgate.logs import get_logger
from workers.admission import permits
from workers.admission.permits import Permit
from workers.calls.context import CallContext, Reply

log = get_logger()


def to_another_endpoint(call: CallContext, reply: Reply) -> bool:
    """Give a call a permit and a route for a second request; return whether both are available.

    The first has failed and may be repeated. False means: no time left, no other endpoint that may
    be called, no permit now, or no room in the budget for retries. The call is then tried again
    later, in its turn.
    """
    if len(call.tried) >= len(call.config.endpoints) or not call.has_time:
        return False
    try:
        route = call.endpoints.open(call.request.path, call.tried, may_probe=False)
    except (CircuitOpen, BrokerUnavailable):
        return False
    # If the health path serves as the probe, a call must not.
    is_free = not (route.is_probe and call.config.health)
    if not is_free or not _take_permit(call, reply):
        route.close()
        return False
    call.take(route)
    log.info(
        "call_fails_over", call=call.claim.call.id, provider=call.config.name, endpoint=route.url
    )
    return True


def with_next_key(call: CallContext, reply: Reply) -> bool:
    """Give a call a permit for the same request with another key; return whether there is one.

    The provider refused the first key, so it has not carried out the request. False means as for
    `to_another_endpoint`; the claim may have been lost too.
    """
    if not call.has_time or not _take_permit(call, reply):
        return False
    log.info("call_takes_next_key", call=call.claim.call.id, provider=call.config.name)
    return True


def for_control(call: CallContext, reply: Reply) -> bool:
    """Give a failed call a permit for a control request; return whether there is one."""
    return not call.is_overdue and _take_permit(call, reply)


def _take_permit(call: CallContext, reply: Reply) -> bool:
    """Restart the call under a new permit, after a request that returned `reply`."""
    runtime, config, claim = call.runtime, call.config, call.claim
    priority, asked_at = Priority(claim.call.priority), runtime.clock.monotonic()
    try:
        grant = permits.ask(runtime, config.name, priority)
    except BrokerUnavailable:
        return False
    if not grant:
        return False
    now = runtime.clock.now()
    lease = timedelta(seconds=config.lease)
    former = claim.call.attempt
    with runtime.database.write() as session:
        if not reply.was_sent:
            attempts.not_sent(session, claim.call.id, former, now, reply.broke_off_at)
        is_mine = retries.begin_again(
            session,
            claim.call,
            now,
            lease,
            permit=grant.permits[0],
            policy=config.retry.policy,
            status=reply.status,
        )
        if is_mine:
            events.call_failed_over(
                session,
                claim,
                former,
                now,
                endpoint=reply.endpoint or None,
                status=reply.status,
                key=reply.key,
                error=reply.error.as_dict() if reply.error is not None else None,
                **call.measured(reply, former),
            )
    if not is_mine:
        runtime.limiter.hand_back(config.name, grant.permits[0])
        return False
    call.trace(reply, now, former)
    call.name_in_log()
    call.permit = Permit.of_grant(grant, asked_at)
    return True
