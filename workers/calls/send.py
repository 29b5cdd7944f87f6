"""One request of a call: authorised, sent, and its permit used up."""

from __future__ import annotations

from sisgate.errors import NoPermit, SisgateError
from sisgate.providers.dialect import HttpRequest
from sisgate.settings import ProviderConfig
from workers.admission import pace, permits
from workers.admission.permits import LEAST_SECONDS, Permit
from workers.calls.keys import Keyring
from workers.calls.reply import Reply
from workers.runtime import Runtime


def send(
    runtime: Runtime,
    config: ProviderConfig,
    permit: Permit,
    url: str,
    request: HttpRequest,
    ends_at: float,
    keyring: Keyring,
) -> Reply:
    """Send one request with the best key left; what stands in its way is in the reply."""
    latest = permit.ends_at(config)
    try:
        with permits.checking(runtime, config, permit):
            authorisation, token = keyring.authorise()
    except SisgateError as error:
        return Reply(url, error=error, is_authorised=False)
    begun = runtime.clock.monotonic()
    most = min(config.timeout_seconds, latest - begun, ends_at - begun)
    try:
        with permits.checking(runtime, config, permit):
            response = runtime.transport.send(
                url,
                request,
                authorisation,
                config.network,
                timeout_seconds=max(LEAST_SECONDS, most),
                max_body_bytes=config.max_body_mb * 1024 * 1024,
                must_end_at=latest,
            )
    except NoPermit as late:
        # A token was fetched, or the process stood still: nothing has left this machine.
        return Reply(url, error=late, is_authorised=False)
    except SisgateError as error:
        return Reply(url, error=error, took_seconds=runtime.clock.monotonic() - begun)
    took = runtime.clock.monotonic() - begun
    return Reply(url, response=response, token=token, took_seconds=took)


def settle(runtime: Runtime, config: ProviderConfig, permit: Permit, reply: Reply) -> float:
    """Use up the permit, or give it back; return the seconds the provider asked us to wait."""
    if reply.was_sent:
        return pace.learn(runtime, config, permit, reply.response)
    return permits.hand_back(runtime, config, permit)
