"""One call, top to bottom: claim, admit, route, authorise, send, learn, fail over, record."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import structlog

from sisgate.audit import events as audit
from sisgate.credentials.sealed_requests import open_request
from sisgate.domain.retries import Blame
from sisgate.errors import (
    BrokerUnavailable,
    DeferredError,
    NoPermit,
    SisgateError,
    TransientError,
)
from sisgate.ledger import calls as ledger
from sisgate.ledger.calls import Claim, Purpose
from sisgate.providers.dialect import HttpRequest, Listing
from sisgate.settings import ProviderConfig
from workers.admission import permits
from workers.admission.permits import Permit
from workers.calls import classify, failover, persist, probing, send
from workers.calls.classify import Classification, Judged
from workers.calls.keys import Keyring
from workers.calls.outcomes import Waits
from workers.calls.reply import Reply
from workers.endpoints import Route
from workers.runtime import Runtime

log = structlog.get_logger()

LONGEST_WAIT_SECONDS = 30.0
"""A call that no endpoint may take is looked at again after so long at most."""


def make_call(
    runtime: Runtime, config: ProviderConfig, call_id: int, permit: Permit | None = None
) -> None:
    """Make one call if it is still to be made. `permit` is what admission took for it."""
    claimed_at = runtime.clock.monotonic()
    claim = _claim(runtime, config, call_id, permit)
    # Looked at after the claim, which may have waited for a lock: a permit that is used is in the
    # ledger within `PERMIT_USE_SECONDS`, or a rebuild would not know of it.
    bound = config.arrival_bound_seconds
    is_fresh = permit is not None and permit.is_fresh(runtime.clock.monotonic(), bound)
    if permit is not None and (claim is None or not is_fresh):
        permits.hand_back(runtime, config, permit)
        permit = None
    if claim is None:
        runtime.endpoints(config).note_no_call()
        return
    try:
        permit = permit or permits.take(runtime, config, claim, claimed_at)
    except NoPermit as error:
        _not_made(runtime, config, claim, error)
        runtime.endpoints(config).note_no_call()
        return
    try:
        request = request_of(runtime, config, claim)
        may_probe = config.health is not None or request.method in ledger.SAFE_METHODS
        route = runtime.endpoints(config).open(request.path, may_probe=may_probe)
    except SisgateError as error:
        permits.hand_back(runtime, config, permit)
        _not_made(runtime, config, claim, error)
        return
    if route.is_probe and probing.is_better(config, claim):
        probing.in_place_of(runtime, config, claim, permit, route)
        return
    _call(runtime, config, claim, permit, request, route)


def _call(
    runtime: Runtime,
    config: ProviderConfig,
    claim: Claim,
    permit: Permit,
    request: HttpRequest,
    route: Route,
) -> None:
    """Send, learn, and do so again at another endpoint as far as that is possible; then record."""
    endpoints = runtime.endpoints(config)
    ends_at = runtime.clock.monotonic() + config.timeout_seconds
    tried: list[str] = []
    sent = 0
    while True:
        tried.append(route.url)
        with endpoints.using(route) as used:
            reply, read, count = _ask(runtime, config, claim, permit, route.url, request, ends_at)
            outcome, judged = read.outcome, classify.NOT_JUDGED
            if read.may_be_repeated and probing.asks_for_blame(config, claim):
                is_last = len(tried) >= len(config.endpoints)
                may_ask = is_last and probing.tells_of(config, request)
                found = probing.judge(runtime, config, claim, reply, route, may_ask=may_ask)
                outcome, judged = found.outcome, found.judged
                read = _read(runtime, config, claim, reply, judged=judged)
                count += found.sent
            used.judge(outcome, reply.took_seconds)
        sent += count
        if not (read.may_be_repeated and reply.is_authorised):
            break
        second = failover.begin(runtime, config, claim, request, reply, tried, ends_at)
        if second is None:
            break
        permit, route = second
    effect = read.effect
    if route.is_probe:
        # The next probe, or all the work that was held, need not wait for a look.
        runtime.wakeups.signal_work(config.name)
        if judged.blame is not Blame.CALL:
            # What only tried out the endpoint waits, behind others, for the next time.
            effect = read.as_probe(endpoints.held_seconds() + probing.AFTER_PROBE_SECONDS)
    persist.record(runtime, config, claim, reply, effect, calls=sent)


def _ask(
    runtime: Runtime,
    config: ProviderConfig,
    claim: Claim,
    permit: Permit,
    url: str,
    request: HttpRequest,
    ends_at: float,
) -> tuple[Reply, Classification, int]:
    """Ask one endpoint, with one key after the other while the provider refuses them.

    Each request has a permit of its own. Returns the last reply, what it means, and how many
    requests the provider may have seen. Where a key is left but no permit or time, the call waits.
    """
    keyring = Keyring(runtime, config, claim)
    sent = 0
    while True:
        reply = send.send(runtime, config, permit, url, request, ends_at, keyring)
        reply = replace(reply, key=keyring.current)
        wait_seconds = send.settle(runtime, config, permit, reply)
        read = _read(runtime, config, claim, reply, wait_seconds)
        if read.drops_token and reply.token is not None:
            with suppress(BrokerUnavailable):
                reply.token.forget()
        sent += reply.was_sent
        refused = str(read.refusal["message"]) if read.refusal is not None else None
        is_cut_short = keyring.note(reply, refused=refused)
        if not is_cut_short or read.refusal is None:
            break
        second = failover.with_next_key(runtime, config, claim, reply, ends_at)
        if second is None:
            read = replace(read, effect=Waits(read.refusal, 0.0))
            break
        permit = second
    was_accepted = reply.response is not None and read.refusal is None
    keyring.settle(was_accepted=was_accepted, is_cut_short=is_cut_short)
    return reply, read, sent


def request_of(runtime: Runtime, config: ProviderConfig, claim: Claim) -> HttpRequest:
    """Return the HTTP request that a claimed call stands for."""
    if claim.call.purpose == Purpose.REQUEST:
        target = open_request(runtime.vault, claim.job)
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
    lease = timedelta(seconds=config.lease)
    with runtime.database.write() as session:
        held = permit.id if permit else None
        now = runtime.clock.now()
        claim = ledger.claim(session, call_id, now, lease, held)
        if claim is not None:
            audit.call_intended(session, claim, now)
        return claim


def _read(
    runtime: Runtime,
    config: ProviderConfig,
    claim: Claim,
    reply: Reply,
    wait_seconds: float = 0.0,
    judged: Judged = classify.NOT_JUDGED,
) -> Classification:
    now, jitter = runtime.clock.now(), random.random()
    return classify.classify(
        config, claim, reply, now, wait_seconds=wait_seconds, jitter=jitter, judged=judged
    )


def _not_made(runtime: Runtime, config: ProviderConfig, claim: Claim, error: SisgateError) -> None:
    """Let a call wait that cannot be made now; nothing is held against it."""
    reply = Reply("", error=error, is_authorised=False)
    if isinstance(error, DeferredError):
        seconds = min(error.seconds, LONGEST_WAIT_SECONDS)
    elif isinstance(error, TransientError):
        seconds = classify.OWN_OUTAGE_SECONDS
    else:
        read = _read(runtime, config, claim, reply)
        persist.record(runtime, config, claim, reply, read.effect, calls=0)
        return
    seconds = max(0.05, seconds)
    if claim.changes_something:
        # While this worker stood still it may have been taken for lost, and the outcome for
        # unknown. It is known.
        waits = Waits(claim.call.error or error.as_dict(), seconds)
        persist.record(runtime, config, claim, reply, waits, calls=0)
    else:
        with runtime.database.write() as session:
            now = runtime.clock.now()
            not_before = now + timedelta(seconds=seconds)
            if ledger.release(session, claim.call, not_before=not_before):
                audit.call_ended(session, claim, "not made", now, error=error.as_dict())
    log.info("call_waits", call=claim.call.id, provider=config.name, reason=error.code)
