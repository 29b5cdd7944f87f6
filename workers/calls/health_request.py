"""The request for an endpoint's health path, made by health checks and in the place of a call."""

from __future__ import annotations

from sisgate.domain.network import Network
from sisgate.domain.response_class import Outcome, ResponseClass, of_status
from sisgate.errors import NoPermit, SisgateError
from sisgate.providers.dialect import HttpRequest
from sisgate.settings import ProviderConfig
from sisgate.settings.provider_parts import HealthConfig
from workers.admission import pace, permits
from workers.admission.permits import Permit
from workers.calls.reply import Reply
from workers.runtime import Runtime

MAX_BODY_BYTES = 1_048_576


def ask(
    runtime: Runtime, health: HealthConfig, url: str, network: Network
) -> tuple[Reply, Outcome]:
    """Ask an endpoint for its health path; return what came and what that says of it."""
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
        # Nothing was sent, so nothing was learnt.
        return Reply(url, error=late), Outcome.NEUTRAL
    except SisgateError as error:
        took = runtime.clock.monotonic() - begun
        return Reply(url, error=error, took_seconds=took), Outcome.FAILURE
    reply = Reply(url, response=response, took_seconds=runtime.clock.monotonic() - begun)
    return reply, outcome_of(health, response.status)


def outcome_of(health: HealthConfig, status: int) -> Outcome:
    """Return what a status says of the endpoint; 429 speaks of the quota and not of health.

    >>> health = HealthConfig(path="/health", expected=(200, 204))
    >>> [outcome_of(health, status).value for status in (204, 302, 401, 429, 503)]
    ['success', 'failure', 'failure', 'neutral', 'failure']
    """
    if status in health.expected:
        return Outcome.SUCCESS
    is_limited = of_status(status) is ResponseClass.RATE_LIMITED
    return Outcome.NEUTRAL if is_limited else Outcome.FAILURE


def settle(
    runtime: Runtime, config: ProviderConfig, health: HealthConfig, permit: Permit, reply: Reply
) -> int:
    """Use up the permit or give it back; return how many requests count against the quota."""
    if health.counts and reply.was_sent:
        pace.learn(runtime, config, permit, reply.response)
        return 1
    permits.hand_back(runtime, config, permit)
    return 0
