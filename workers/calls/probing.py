"""Whose fault is a failure? A control request shows whether the endpoint otherwise works.

It is the health path if one is configured, else the cheapest request of the provider's kind. It
replaces a call that would make a poor probe, and follows a call that has failed again: an endpoint
that answers it has no outage, so the failure is the call's own.
"""

from sisgate.breakers.spec import State
from sisgate.domain.network import Network
from sisgate.domain.response_class import KeyEffect, Outcome, ResponseClass, of_status
from sisgate.domain.retries import Blame, Failure
from sisgate.errors import BrokerUnavailable, NoPermit, PermanentError, SisgateError
from sisgate.providers.http import HttpRequest
from sisgate.settings import ProviderConfig
from sisgate.settings.provider_parts import HealthConfig
from workers.admission import permits
from workers.admission.permits import Permit
from workers.calls import failover, persist, send
from workers.calls.classify import Judged
from workers.calls.context import CallContext, Fails, Reply, Waits
from workers.calls.send import Keyring
from workers.runtime import Runtime

MAX_BODY_BYTES = 1_048_576


def ask_health(
    runtime: Runtime, health: HealthConfig, url: str, network: Network
) -> tuple[Reply, Outcome]:
    """Request an endpoint's health path; return the reply and what it says about the endpoint."""
    begun = runtime.clock.monotonic()
    try:
        response = runtime.transport.send(
            url,
            HttpRequest(health.path),
            None,
            network,
            timeout_seconds=health.timeout_seconds,
            max_body_bytes=MAX_BODY_BYTES,
        )
    except NoPermit as late:
        # Nothing was sent, so nothing was learned.
        return Reply(url, error=late), Outcome.NEUTRAL
    except SisgateError as error:
        took = runtime.clock.monotonic() - begun
        return Reply(url, error=error, took_seconds=took), Outcome.FAILURE
    reply = Reply(url, response=response, took_seconds=runtime.clock.monotonic() - begun)
    return reply, health_outcome(health, response.status)


def health_outcome(health: HealthConfig, status: int) -> Outcome:
    """Return what a status says about the endpoint; 429 is about the quota, not health.

    >>> health = HealthConfig(path="/health", expected=(200, 204))
    >>> [health_outcome(health, status).value for status in (204, 302, 401, 429, 503)]
    ['success', 'failure', 'failure', 'neutral', 'failure']
    """
    if status in health.expected:
        return Outcome.SUCCESS
    is_limited = of_status(status) is ResponseClass.RATE_LIMITED
    return Outcome.NEUTRAL if is_limited else Outcome.FAILURE


def settle_health(
    runtime: Runtime, config: ProviderConfig, health: HealthConfig, permit: Permit, reply: Reply
) -> int:
    """Use up the permit or give it back; return how many requests count against the quota."""
    if health.counts and reply.was_sent:
        permits.learn(runtime, config, permit, reply.response)
        return 1
    permits.hand_back(runtime, config, permit)
    return 0


AFTER_PROBE_SECONDS = 1.0
"""A failed probe waits this much longer than until the next probe."""

CONTROL_SECONDS = 10.0
"""How long a control request may take at most."""


def is_better(call: CallContext) -> bool:
    """Whether a control request makes a better probe than the call.

    A call that has failed before may be at fault itself, and one that changes something must not be
    risked.
    """
    claim = call.claim
    return call.config.health is not None or claim.call.is_retry or claim.changes_something


def in_place_of(call: CallContext) -> None:
    """Probe by a control request in place of the call, which waits and spends no attempt.

    It uses the call's permit and attempt, so limiter and ledger count it. If no key is left for it,
    the call fails, as it would have by itself.
    """
    with call.route as guarded:
        reply, outcome = _ask(call)
        guarded.judge(outcome, reply.took_seconds)
    call.runtime.wakeups.signal_work(call.config.name)
    if isinstance(reply.error, PermanentError) and not reply.is_authorised:
        # No key is left: nothing was sent, and the call could not be sent either.
        persist.record(call, reply, Fails(reply.error.as_dict()))
        return
    seconds = call.endpoints.open_seconds()
    if outcome is not Outcome.SUCCESS:
        seconds += AFTER_PROBE_SECONDS
    message = f"{call.route.url} was probed first by another request."
    error = call.claim.call.error or {"code": "probed", "message": message}
    is_former = outcome is not Outcome.FAILURE or reply.error is not None
    persist.record(call, reply, Waits(error, seconds, is_former=is_former))


def asks_for_blame(call: CallContext) -> bool:
    """Whether the call's failure must be attributed."""
    row, policy = call.claim.call, call.config.retry.policy
    return Failure(row.tries).asks_for_blame(policy, has_failed=row.is_retry)


def judge(call: CallContext, reply: Reply) -> tuple[Outcome, Judged]:
    """Return what an unreported failure says about the endpoint, and whose fault it is.

    A request that could not even be sent is the endpoint's fault. If another endpoint is left to
    try, or there is no permit for a control request, the endpoint's previous result decides.
    """
    in_a_row = _failures_in_a_row(call)
    blamed = Judged(Blame.ENDPOINT, in_a_row + 1)
    if not reply.was_sent:
        return Outcome.FAILURE, blamed
    is_last = len(call.tried) >= len(call.config.endpoints)
    if not (is_last and _tells_of(call) and failover.for_control(call, reply)):
        is_alone = in_a_row == 0 and not call.route.is_probe
        return Outcome.FAILURE, Judged(Blame.CALL) if is_alone else blamed
    _, outcome = _ask(call)
    if outcome is Outcome.SUCCESS:
        return outcome, Judged(Blame.CALL)
    return Outcome.FAILURE, blamed


def _tells_of(call: CallContext) -> bool:
    """Whether a control request differs from the request that failed."""
    if call.config.health is not None:
        return call.request.path != call.config.health.path
    return call.request.path != call.config.dialect.probe_request().path


def outcome_of(reply: Reply) -> Outcome:
    """Return what the reply to a control request says about the endpoint.

    Even a refusal shows that the endpoint works.
    """
    if not reply.is_authorised:
        return Outcome.NEUTRAL
    response_class = of_status(reply.status)
    is_answer = response_class not in {ResponseClass.RATE_LIMITED, ResponseClass.NO_RESPONSE}
    outcome = response_class.rule.breaker
    return Outcome.SUCCESS if is_answer and outcome is Outcome.NEUTRAL else outcome


def _ask(call: CallContext) -> tuple[Reply, Outcome]:
    """Make a control request; return the reply, and what it says about the endpoint."""
    runtime, config, health = call.runtime, call.config, call.config.health
    if health is not None:
        with permits.checking(runtime, config, call.permit):
            reply, outcome = ask_health(runtime, health, call.route.url, config.network)
        call.sent += settle_health(runtime, config, health, call.permit, reply)
        return reply, outcome
    most = min(CONTROL_SECONDS, config.timeout_seconds)
    ends_at = runtime.clock.monotonic() + most
    keyring = Keyring(call)
    reply = send.send(call, config.dialect.probe_request(), ends_at, keyring)
    send.settle(call, reply)
    if _is_token_refused(call, reply):
        reply.drop_token()
    # A refused request says little about the key; a refused token does.
    keyring.note(reply, refused=None)
    keyring.settle(was_accepted=False, is_cut_short=False)
    return reply, outcome_of(reply)


def _is_token_refused(call: CallContext, reply: Reply) -> bool:
    """Whether the provider no longer knows a token that was fetched earlier: it was restarted."""
    if reply.response is None or reply.token is None or reply.token.is_new:
        return False
    refusal = call.config.dialect.classify(reply.response).response_class
    return refusal.rule.key is KeyEffect.TOKEN_DROPPED


def _failures_in_a_row(call: CallContext) -> int:
    """Return the endpoint's failures in a row so far; `fail_max` if its breaker is not closed."""
    most = call.config.breaker.fail_max
    try:
        views = call.endpoints.breakers.views()
    except BrokerUnavailable:
        return most
    view = next(view for view in views if view.endpoint == call.route.url)
    return view.failures_in_a_row if view.state is State.CLOSED else most
