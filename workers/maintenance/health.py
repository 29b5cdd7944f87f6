"""Health checks: the fleet requests each endpoint's health path once per interval."""

from contextlib import nullcontext, suppress

from sisgate.audit import log as audit
from sisgate.bounded_http import checked_before_write
from sisgate.breakers.spec import State
from sisgate.domain.priorities import Priority
from sisgate.domain.response_class import Outcome
from sisgate.errors import BrokerUnavailable, NoPermit
from sisgate.logs import get_logger
from sisgate.redis.keys import HEALTH_CLAIM
from sisgate.settings import ProviderConfig
from sisgate.settings.provider_parts import HealthConfig
from workers.admission import limiter_recovery, permits
from workers.admission.permits import Permit
from workers.calls import probing
from workers.calls.context import Reply
from workers.runtime import Runtime

log = get_logger()

RUN_SECONDS = 5.0
"""After this long a run starts no further check; the rest is for the next run."""


def check(runtime: Runtime) -> None:
    """Check the endpoints that are due. A Redis that is down postpones it.

    An endpoint whose breaker is not closed is left to the breaker's probe, and a paused provider
    is not called.
    """
    ends_at = runtime.clock.monotonic() + RUN_SECONDS
    with suppress(BrokerUnavailable):
        for config in runtime.configuration.current().providers.values():
            if config.health is None:
                continue
            if runtime.limiter.state(config.name, runtime.limits(config)).paused_until is not None:
                continue
            for view in runtime.endpoints(config).breakers.views():
                if runtime.clock.monotonic() >= ends_at:
                    return
                if view.state is State.CLOSED:
                    _check(runtime, config, config.health, view.endpoint)


def _check(runtime: Runtime, config: ProviderConfig, health: HealthConfig, url: str) -> None:
    # The claim ensures one check however many beats run. It is taken before the check: if the
    # worker dies, the check is made an interval later, and never twice.
    claim = HEALTH_CLAIM(provider=config.name, endpoint=url)
    claimed_at = runtime.clock.monotonic()
    if not runtime.redis.set(claim, b"1", nx=True, px=round(health.interval_seconds * 1000)):
        return
    permit = None
    if health.counts:
        permit = _permit(runtime, config)
        if permit is None:
            runtime.redis.delete(claim)
            return

    def check_turn() -> None:
        if runtime.clock.monotonic() >= claimed_at + health.interval_seconds:
            raise NoPermit("The next check is due; this one was not made.", seconds=0.0)

    held = permits.checking(runtime, config, permit) if permit is not None else nullcontext()
    with checked_before_write(check_turn), held:
        reply, outcome = probing.ask_health(runtime, health, url, config.network)
    if permit is not None:
        probing.settle_health(runtime, config, health, permit, reply)
    if outcome is Outcome.NEUTRAL:
        return
    good = outcome is Outcome.SUCCESS
    changed = runtime.endpoints(config).note_check(url, good=good, holds=health.holds_seconds)
    if changed:
        _report(runtime, config, url, changed, reply)


def _permit(runtime: Runtime, config: ProviderConfig) -> Permit | None:
    # With the lowest priority, so that a check never takes the reserve of urgent work.
    asked_at = runtime.clock.monotonic()
    grant = permits.ask(runtime, config.name, Priority.LOW)
    if grant:
        return Permit.of_grant(grant, asked_at)
    if grant.reason == "unknown":
        limiter_recovery.note_unknown(runtime, config.name)
    return None


def _report(runtime: Runtime, config: ProviderConfig, url: str, changed: str, reply: Reply) -> None:
    reason = f"answered {reply.status}" if reply.status else type(reply.error).__name__
    log.warning(
        "endpoint_well" if changed == "well" else "endpoint_unwell",
        provider=config.name, endpoint=url, reason=reason,
    )  # fmt: skip
    with runtime.database.write() as session:
        audit.record(
            session,
            runtime.clock.now(),
            actor="worker",
            action=f"routing:endpoint:{changed}",
            subject=config.name,
            reason=reason,
            endpoint=url,
        )
