"""Whose fault is a failure? A control request tells whether the endpoint answers otherwise.

It is the health path where one is configured, else the cheapest request that the kind of provider
has. It stands in for a call that would not be a good probe, and it is asked after a call that has
failed again: an endpoint that answers it has no outage, so the failure is the call's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from sisgate.breakers.spec import Outcome, State
from sisgate.domain.retries import Blame, Failure
from sisgate.errors import BrokerUnavailable
from sisgate.ledger.calls import Claim
from sisgate.providers.dialect import HttpRequest
from sisgate.settings import ProviderConfig
from workers.admission import permits
from workers.admission.permits import Permit
from workers.calls import failover, health_request, persist, send
from workers.calls.classify import Judged
from workers.calls.keys import Keyring
from workers.calls.outcomes import Waits
from workers.calls.reply import Reply
from workers.endpoints import Route
from workers.runtime import Runtime

AFTER_PROBE_SECONDS = 1.0
"""What served as a probe and failed waits so much longer than the next probe."""

CONTROL_SECONDS = 10.0
"""How long a control request may take at most."""


@dataclass(frozen=True)
class Found:
    """What a failure says of the endpoint, whose fault it is, and how many requests that took."""

    outcome: Outcome
    judged: Judged
    sent: int = 0


def is_better(config: ProviderConfig, claim: Claim) -> bool:
    """Whether a control request makes a better probe than the call.

    A call that has failed before may do so by its own fault, and one that changes something must
    not be risked.
    """
    return config.health is not None or claim.call.is_retry or claim.changes_something


def in_place_of(
    runtime: Runtime, config: ProviderConfig, claim: Claim, permit: Permit, route: Route
) -> None:
    """Probe by a control request in the place of the call, which waits and spends no try.

    It is made with the call's permit and in its attempt, so limiter and ledger know of it.
    """
    endpoints = runtime.endpoints(config)
    with endpoints.using(route) as used:
        reply, outcome, sent = _ask(runtime, config, claim, permit, route.url)
        used.judge(outcome, reply.took_seconds)
    runtime.wakeups.signal_work(config.name)
    seconds = endpoints.held_seconds()
    if outcome is not Outcome.SUCCESS:
        seconds += AFTER_PROBE_SECONDS
    words = {"code": "probed", "message": f"{route.url} was tried first by another request."}
    waits = Waits(claim.call.error or words, seconds)
    persist.record(runtime, config, claim, reply, waits, calls=sent)


def asks_for_blame(config: ProviderConfig, claim: Claim) -> bool:
    """Whether it has to be known whose fault it is that a call has failed."""
    failure = Failure(claim.call.tries)
    return failure.asks_for_blame(config.retry.policy, has_failed=claim.call.is_retry)


def tells_of(config: ProviderConfig, request: HttpRequest) -> bool:
    """Whether a control request is another one than the request that failed."""
    if config.health is not None:
        return request.path != config.health.path
    return request.path != config.dialect.probe_request().path


def judge(
    runtime: Runtime,
    config: ProviderConfig,
    claim: Claim,
    reply: Reply,
    route: Route,
    *,
    may_ask: bool,
) -> Found:
    """Return whose fault it is that a call has failed, which is not reported yet.

    A request that could not even be sent is the endpoint's. `may_ask` False, or no permit for a
    control request: it goes by whether the endpoint's last answer was good.
    """
    in_a_row = _failures_in_a_row(runtime, config, route)
    blamed = Found(Outcome.FAILURE, Judged(Blame.ENDPOINT, in_a_row + 1))
    if not reply.was_sent:
        return blamed
    permit = failover.for_control(runtime, config, claim, reply) if may_ask else None
    if permit is None:
        is_alone = in_a_row == 0 and not route.is_probe
        return Found(Outcome.FAILURE, Judged(Blame.CALL)) if is_alone else blamed
    _, outcome, sent = _ask(runtime, config, claim, permit, route.url)
    if outcome is Outcome.SUCCESS:
        return Found(outcome, Judged(Blame.CALL), sent)
    return Found(blamed.outcome, blamed.judged, sent)


def outcome_of(reply: Reply) -> Outcome:
    """Return what the answer to a control request says of the endpoint.

    A refusal is an answer too: it shows that the endpoint works.
    """
    if reply.status is None:
        return Outcome.FAILURE if reply.is_authorised else Outcome.NEUTRAL
    if reply.status == 429:
        return Outcome.NEUTRAL
    return Outcome.FAILURE if reply.status >= 500 or reply.status == 408 else Outcome.SUCCESS


def _ask(
    runtime: Runtime, config: ProviderConfig, claim: Claim, permit: Permit, url: str
) -> tuple[Reply, Outcome, int]:
    """Make a control request; return the reply, what it says, and how many requests counted."""
    if config.health is not None:
        with permits.checking(runtime, config, permit):
            reply, outcome = health_request.ask(runtime, config.health, url, config.network)
        return reply, outcome, health_request.settle(runtime, config, config.health, permit, reply)
    most = min(CONTROL_SECONDS, config.timeout_seconds)
    ends_at = runtime.clock.monotonic() + most
    keyring = Keyring(runtime, config, claim)
    request = config.dialect.probe_request()
    reply = send.send(runtime, config, permit, url, request, ends_at, keyring)
    send.settle(runtime, config, permit, reply)
    return reply, outcome_of(reply), int(reply.was_sent)


def _failures_in_a_row(runtime: Runtime, config: ProviderConfig, route: Route) -> int:
    """Return the endpoint's failures in a row so far; those of a breaker that is not closed."""
    try:
        views = runtime.endpoints(config).breakers.views()
    except BrokerUnavailable:
        return config.breaker.fail_max
    view = next(view for view in views if view.endpoint == route.url)
    return view.failures_in_a_row if view.state is State.CLOSED else config.breaker.fail_max
