"""Permits: what one allows, how a call gets one, and what the limiter learns from its end."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from math import inf
from typing import Any, Self

from sisgate.admission.limiter import PERMIT_USE_SECONDS
from sisgate.admission.state import Grant
from sisgate.admission.throttle import ThrottleDecision, ThrottleSignal, decide
from sisgate.audit import log as audit
from sisgate.bounded_http import checked_before_write
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import parse_rate_hint
from sisgate.errors import BrokerUnavailable, NoPermit
from sisgate.ledger import attempts
from sisgate.ledger.calls import Claim
from sisgate.logs import get_logger
from sisgate.providers.http import HttpResponse
from sisgate.settings import ProviderConfig
from workers.admission import limiter_recovery
from workers.runtime import Runtime

STALE_SECONDS = 1.0
"""How long a call waits whose configuration cannot be read, or has its provider no more."""

LEAST_SECONDS = 1.0
"""The least time to wait for a response; with less left, no request is sent."""

REDIS_LOST_SECONDS = 2.0
"""How long a call waits when Redis cannot be asked for a permit."""


@dataclass(frozen=True)
class Permit:
    """A permit, and the adaptive factor under which it was granted.

    Its times are by this machine's monotonic clock, taken before the request to the limiter and
    before the claim of the call: so neither permit nor claim ends before `ends_at` by any clock.
    """

    id: str
    factor: float
    granted_at: float
    claimed_at: float = inf
    """When its call was claimed, if that was before the grant."""
    version: int = 0
    """The version of the configuration by whose limit it was granted."""
    waited_seconds: float = 0.0
    """How long its message was the provider's next one and had no permit."""

    @classmethod
    def of_message(cls, headers: Mapping[str, Any] | None) -> Self | None:
        """Return the permit that admission put into a message, or None if it came without."""
        return cls(**headers) if headers else None

    @classmethod
    def of_grant(cls, grant: Grant, asked_at: float, claimed_at: float = inf) -> Self:
        """Return the first permit of a grant that was requested at `asked_at`."""
        return cls(grant.permits[0], grant.factor, asked_at, claimed_at)

    def ends_at(self, config: ProviderConfig) -> float:
        """Return when the permit or the claim may pass to another: nothing is sent after that."""
        return min(self.granted_at, self.claimed_at) + config.lease

    def check(self, config: ProviderConfig, now: float) -> None:
        """Raise `NoPermit` unless a request may be written now.

        The process may have been suspended since the last check.
        """
        bound = config.arrival_bound_seconds
        if now + LEAST_SECONDS > self.ends_at(config):
            raise NoPermit("The permit or the claim ended before the call was sent.", seconds=0.0)
        if bound is not None and not self.is_fresh(now, bound):
            raise NoPermit("The permit grew too old before the call was sent.", seconds=0.0)

    def is_fresh(self, now: float, arrival_bound_seconds: float | None) -> bool:
        """Whether it may still be used at `now`; see `PERMIT_USE_SECONDS`.

        If the provider must see a call within a bound of its grant, half of the bound is for us and
        half for the network.
        """
        longest = PERMIT_USE_SECONDS
        if arrival_bound_seconds is not None:
            longest = min(longest, arrival_bound_seconds / 2)
        return now - self.granted_at < longest


def checking(
    runtime: Runtime, config: ProviderConfig, permit: Permit
) -> AbstractContextManager[None]:
    """Return a context in which nothing is written to a provider once the permit has ended."""
    return checked_before_write(lambda: permit.check(config, runtime.clock.monotonic()))


def take(runtime: Runtime, config: ProviderConfig, claim: Claim, claimed_at: float) -> Permit:
    """Return a permit for a call that came without one; raises `NoPermit` if there is none now.

    Admission delivers each message with a permit. This is for messages that arrived another way, or
    whose permit grew too old. The limit is that of the newest configuration, whichever the call was
    claimed with.
    """
    asked_at = runtime.clock.monotonic()
    try:
        grant = ask(runtime, config.name, Priority(claim.call.priority))
    except BrokerUnavailable:
        grant = Grant((), REDIS_LOST_SECONDS, "unknown")
    if grant:
        with runtime.database.write() as session:
            attempts.note_permit(session, claim.call.id, claim.call.attempt, grant.permits[0])
        return Permit.of_grant(grant, asked_at, claimed_at)
    if grant.reason == "unknown":
        with suppress(BrokerUnavailable):
            limiter_recovery.note_unknown(runtime, config.name)
    raise NoPermit(
        f"There is no permit for {config.name} now ({grant.reason}).", seconds=grant.wait_seconds
    )


def ask(runtime: Runtime, provider: str, priority: Priority) -> Grant:
    """Ask the limiter for a permit by the newest limit; raises `BrokerUnavailable`.

    If Redis knows a newer configuration than this process, it is read and asked again.
    """
    fleet = runtime.configuration.current()
    for _ in range(2):
        if provider not in fleet.providers:
            break
        spec = runtime.limits(fleet.providers[provider])
        grant = runtime.limiter.take(provider, spec, priority, version=fleet.version)
        if grant.reason != "stale":
            return grant
        fleet = runtime.configuration.refresh()
    return Grant((), STALE_SECONDS, "stale")


def hand_back(runtime: Runtime, config: ProviderConfig, permit: Permit) -> float:
    """Give back a permit whose call did not leave this machine; return 0 seconds to wait.

    If Redis fails, the permit merely counts to the end of its lease.
    """
    with suppress(BrokerUnavailable):
        runtime.limiter.hand_back(config.name, permit.id)
    return 0.0


log = get_logger()


def learn(
    runtime: Runtime, config: ProviderConfig, permit: Permit, response: HttpResponse | None
) -> float:
    """Report a call's end and response to the limiter; return the seconds to wait.

    The seconds are how long the provider asked us to wait, 0 for none. If Redis fails, the response
    is not lost: the permit then counts to the end of its lease.
    """
    status = response.status if response else None
    latency = runtime.latency_of(config.name, response.elapsed_seconds if response else None)
    headers = response.headers if response else {}
    now = runtime.clock.now()
    try:
        # If the provider says what its own windows have left, it is compared with ours.
        says_left = parse_rate_hint(headers, now).remaining is not None
        spec = runtime.limits(config) if says_left else None
        state = runtime.limiter.finish(config.name, permit.id, spec)
        left = min((window.left for window in state.windows), default=None) if state else None
        decision = decide(permit.factor, ThrottleSignal(status, headers, latency, left), now)
        # The provider's request is always heeded; the pace is lowered, or in shadow mode logged.
        if decision.block_seconds > 0:
            runtime.limiter.block(config.name, decision.block_seconds, f"answered {status}")
        if decision.factor != permit.factor and config.adaptive != "off":
            _change_pace(runtime, config, permit, decision, status)
    except BrokerUnavailable:
        decision = decide(permit.factor, ThrottleSignal(status, headers, latency), now)
    return decision.block_seconds


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
    # Recovery takes many small steps; only its end is audited.
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
