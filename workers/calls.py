"""One call, top to bottom: claim, admit, route, authorise, send, learn, record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sisgate.broker import Limits
from sisgate.credentials import keys
from sisgate.errors import SisgateError
from sisgate.ledger import calls as ledger
from sisgate.ledger.calls import Claim, Purpose
from sisgate.providers.dialect import HttpRequest, Listing
from sisgate.routing.choose import choose
from sisgate.settings import ProviderConfig
from sisgate.transport import auth
from sisgate.transport.auth import AuthBase
from workers import admit, outcomes
from workers.admit import Permit
from workers.outcomes import Reply
from workers.runtime import Runtime


def make(
    runtime: Runtime, config: ProviderConfig, call_id: int, permit: Permit | None = None
) -> None:
    """Make one call if it is still to be made. `permit` is what admission took for it."""
    claim = _claim(runtime, config, call_id, permit)
    # Looked at after the claim, which may have waited for a lock: a permit that is used is in the
    # ledger within `PERMIT_USE_SECONDS`, or a rebuild would not know of it.
    if permit is not None and (claim is None or not permit.is_fresh(runtime.clock.now())):
        admit.hand_back(runtime, config, permit)
        permit = None
    if claim is None:
        return
    permit = permit or admit.take(runtime, config, claim)
    if permit is None:
        return
    reply = _send(runtime, config, claim)
    if reply.was_sent:
        wait_seconds = admit.finish(runtime, config, permit, reply.response)
    else:
        wait_seconds = admit.hand_back(runtime, config, permit)
    outcomes.record(runtime, config, claim, reply, wait_seconds)


def request_of(config: ProviderConfig, claim: Claim) -> HttpRequest:
    """Return the HTTP request that a claimed call stands for."""
    if claim.call.purpose == Purpose.REQUEST:
        target = claim.call.target or {}
        query = tuple((str(k), str(v)) for k, v in target["query"].items())
        return HttpRequest(target["path"], query, target["method"], target["json"])
    assert claim.listing is not None
    listing = Listing.from_json(claim.listing.plan)
    if claim.call.purpose == Purpose.COUNT:
        request = config.dialect.count_request(listing)
        assert request is not None
        return request
    return config.dialect.page_request(listing, claim.position)


def _claim(
    runtime: Runtime, config: ProviderConfig, call_id: int, permit: Permit | None
) -> Claim | None:
    lease = timedelta(seconds=Limits(config.timeout_seconds).lease)
    with runtime.database.write() as session:
        held = permit.id if permit else None
        return ledger.claim(session, call_id, runtime.clock.now(), lease, held)


def _send(runtime: Runtime, config: ProviderConfig, claim: Claim) -> Reply:
    endpoint = choose(config.endpoints, claim.call.id, claim.call.tries).url
    try:
        authorisation, forget = _authorise(runtime, config)
        response = runtime.transport.send(
            endpoint,
            request_of(config, claim),
            authorisation,
            timeout_seconds=config.timeout_seconds,
            max_body_bytes=config.max_body_mb * 1024 * 1024,
        )
    except SisgateError as error:
        return Reply(endpoint, error=error)
    return Reply(endpoint, response=response, forget_token=forget)


def _authorise(
    runtime: Runtime, config: ProviderConfig
) -> tuple[AuthBase | None, Callable[[], None]]:
    """Return the request's authorisation, and what to do when its token turns out expired."""
    if config.auth_method == "none":
        return None, _nothing
    with runtime.database.read() as session:
        key = keys.active_key(session, runtime.vault, config.name)
    if config.auth_method == "oauth1":
        return auth.oauth1(key), _nothing
    token = runtime.tokens.get(config, key)
    return auth.Bearer(token.value), lambda: runtime.tokens.forget(key, token)


def _nothing() -> None:
    return None
