"""One request of a call: authorised, sent, and its permit used up."""

from __future__ import annotations

from sisgate.errors import NoPermit, SisgateError
from sisgate.providers.dialect import HttpRequest
from workers.admission import pace, permits
from workers.admission.permits import LEAST_SECONDS
from workers.calls.context import CallContext
from workers.calls.keys import Keyring
from workers.calls.reply import Reply


def send(call: CallContext, request: HttpRequest, ends_at: float, keyring: Keyring) -> Reply:
    """Send one request with the best key left; what stands in its way is in the reply.

    `request` is the call's own, or one in its place that has until `ends_at`.
    """
    runtime, config, permit, url = call.runtime, call.config, call.permit, call.route.url
    latest = permit.ends_at(config)
    try:
        with permits.checking(runtime, config, permit):
            authorisation, token = keyring.authorise()
    except SisgateError as error:
        return Reply(url, error=error, key=keyring.current, is_authorised=False)
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
        return Reply(url, error=late, key=keyring.current, is_authorised=False)
    except SisgateError as error:
        took = runtime.clock.monotonic() - begun
        return Reply(url, error=error, key=keyring.current, took_seconds=took)
    took = runtime.clock.monotonic() - begun
    return Reply(url, response=response, key=keyring.current, token=token, took_seconds=took)


def settle(call: CallContext, reply: Reply) -> float:
    """Use up the permit, or give it back; return the seconds the provider asked us to wait."""
    if reply.was_sent:
        call.sent += 1
        return pace.learn(call.runtime, call.config, call.permit, reply.response)
    return permits.hand_back(call.runtime, call.config, call.permit)
