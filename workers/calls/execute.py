"""One call, top to bottom: claim, route, authorise, send, learn, fail over, record."""

import random
from dataclasses import replace
from datetime import timedelta

from sisgate.audit import events as audit
from sisgate.domain.retries import Blame
from sisgate.errors import (
    CredentialError,
    DeferredError,
    MasterKeyMissing,
    NoPermit,
    SisgateError,
    TransientError,
)
from sisgate.gateway.missing_keys import is_given_up
from sisgate.ledger import calls as ledger
from sisgate.logs import get_logger
from sisgate.settings import ProviderConfig
from sisgate.sync import known_pages
from workers.admission import permits
from workers.admission.permits import Permit
from workers.calls import classify, failover, persist, probing, send
from workers.calls.classify import Classification, Judged
from workers.calls.context import CallContext, CallOutcome, Reply, Waits
from workers.calls.send import Keyring
from workers.runtime import Runtime

log = get_logger()

LONGEST_WAIT_SECONDS = 30.0
"""How long, at most, a call waits that no endpoint may take."""


def make_call(
    runtime: Runtime, config: ProviderConfig, call_id: int, permit: Permit | None = None
) -> str:
    """Make one call if it is still due. `permit` is what admission took for it.

    Returns in words what became of it, without data of a person: Flower shows it.
    """
    claimed_at = runtime.clock.monotonic()
    call: CallContext | None = None
    try:
        call = _claim(runtime, config, call_id, permit)
    finally:
        # Also where the ledger is away: else an outage of it would use up the quota.
        if call is None and permit is not None:
            permits.hand_back(runtime, config, permit)
        if call is None:
            runtime.endpoints(config).note_no_call()
    if call is None:
        return "not due"
    job = f"job {call.claim.job.id}"
    if not _hold_permit(call, permit, claimed_at):
        runtime.endpoints(config).note_no_call()
        return f"{job}: waits for a permit"
    try:
        _route(call)
    except SisgateError as error:
        permits.hand_back(runtime, config, call.permit)
        _not_made(call, error)
        return f"{job}: not made, {error.code}"
    if call.route.is_probe and probing.is_better(call):
        probing.in_place_of(call)
        return f"{job}: waits for a probe of the endpoint"
    while True:
        with call.route as guarded:  # inside the endpoint's circuit breaker
            reply, read = _ask(call)  # authorise, send, learn
            breaker, judged = read.breaker, classify.NOT_JUDGED
            if read.may_be_repeated and probing.asks_for_blame(call):
                breaker, judged = probing.judge(call, reply)
                read = _classify(call, reply, judged=judged)
            guarded.judge(breaker, reply.took_seconds)
        may_fail_over = read.may_be_repeated and reply.is_authorised
        if not (may_fail_over and failover.to_another_endpoint(call, reply)):
            break
    outcome = _outcome(call, read, judged)
    persist.record(call, reply, outcome)
    return f"{job}: {_in_words(reply, outcome)}"


def _in_words(reply: Reply, outcome: CallOutcome) -> str:
    said = f"answered {reply.response.status}" if reply.response is not None else "no answer"
    error = getattr(outcome, "error", None)
    return f"{said}, {error['code']}" if error else said


def _claim(
    runtime: Runtime, config: ProviderConfig, call_id: int, permit: Permit | None
) -> CallContext | None:
    """Claim the call; return None if it is not ours to make."""
    lease = timedelta(seconds=config.lease)
    begun = runtime.clock.monotonic()
    with runtime.database.write() as session:
        held = permit.id if permit else None
        now = runtime.clock.now()
        claim = ledger.claim(session, call_id, now, lease, held)
        if claim is not None:
            audit.call_intended(session, claim, now)
            claim = known_pages.looked_up(session, claim)
    if claim is None:
        return None
    waited = {"ledger": round(1000 * (runtime.clock.monotonic() - begun), 1)}
    if claim.call.published_at is not None:
        queued = (now - claim.call.published_at).total_seconds()
        waited["queue"] = round(1000 * max(0.0, queued), 1)
    if permit is not None:
        waited["permit"] = round(1000 * permit.waited_seconds, 1)
    call = CallContext(runtime, config, claim, waited)
    call.name_in_log()
    log.info("call_started", app=claim.job.app, purpose=claim.call.purpose, waited_ms=waited)
    return call


def _hold_permit(call: CallContext, permit: Permit | None, claimed_at: float) -> bool:
    """Give a call the permit of its message or another one; return False if it must wait."""
    # Checked after the claim, which may have waited for a lock: a permit in use must be in the
    # ledger within `PERMIT_USE_SECONDS`, or a rebuild would miss it.
    now, bound = call.runtime.clock.monotonic(), call.config.arrival_bound_seconds
    if permit is not None and permit.is_fresh(now, bound):
        call.permit = permit
        return True
    if permit is not None:
        permits.hand_back(call.runtime, call.config, permit)
    try:
        call.permit = permits.take(call.runtime, call.config, call.claim, claimed_at)
    except NoPermit as error:
        _not_made(call, error)
        return False
    return True


def _route(call: CallContext) -> None:
    """Choose an endpoint whose breaker lets the call pass; raises the reason if there is none."""
    may_probe = call.config.health is not None or call.request.method in ledger.SAFE_METHODS
    call.take(call.endpoints.open(call.request.path, may_probe=may_probe))


def _ask(call: CallContext) -> tuple[Reply, Classification]:
    """Call one endpoint, trying one key after another while the provider refuses them.

    Each request has its own permit. Returns the last reply and what it means. If a key is left but
    no permit or time, the call waits.
    """
    keyring = Keyring(call)
    while True:
        reply = send.send(call, call.request, call.ends_at, keyring)
        wait_seconds = send.settle(call, reply)
        read = _classify(call, reply, wait_seconds)
        if read.drops_token:
            reply.drop_token()
        refused = str(read.refusal["message"]) if read.refusal is not None else None
        is_cut_short = keyring.note(reply, refused=refused)
        if not is_cut_short or read.refusal is None:
            break
        if not failover.with_next_key(call, reply):
            read = replace(read, outcome=Waits(read.refusal, 0.0))
            break
    was_accepted = reply.response is not None and read.refusal is None
    keyring.settle(was_accepted=was_accepted, is_cut_short=is_cut_short)
    return reply, read


def _classify(
    call: CallContext, reply: Reply, wait_seconds: float = 0.0, judged: Judged = classify.NOT_JUDGED
) -> Classification:
    now, jitter = call.runtime.clock.now(), random.random()
    if isinstance(reply.error, MasterKeyMissing) and is_given_up(
        call.runtime.database, reply.error
    ):
        # No worker will ever have it, so there is nothing to wait for.
        reply = replace(reply, error=CredentialError(reply.error.message))
    return classify.classify(
        call.config, call.claim, reply, now, wait_seconds=wait_seconds, jitter=jitter, judged=judged
    )


def _outcome(call: CallContext, read: Classification, judged: Judged) -> CallOutcome:
    """Return the outcome to record for a call that may have been a probe."""
    if not call.route.is_probe:
        return read.outcome
    # The next probe, or all the work that was held, need not wait for a poll.
    call.runtime.wakeups.signal_work(call.config.name)
    if judged.blame is Blame.CALL:
        return read.outcome
    # A call that was only a probe waits for its next turn, behind others.
    return read.as_probe(call.endpoints.open_seconds() + probing.AFTER_PROBE_SECONDS)


def _not_made(call: CallContext, error: SisgateError) -> None:
    """Postpone a call that cannot be made now; no attempt is spent."""
    runtime, claim = call.runtime, call.claim
    reply = Reply("", error=error, is_authorised=False)
    if isinstance(error, DeferredError):
        seconds = min(error.seconds, LONGEST_WAIT_SECONDS)
    elif isinstance(error, TransientError):
        seconds = classify.OWN_OUTAGE_SECONDS
    else:
        persist.record(call, reply, _classify(call, reply).outcome)
        return
    seconds = max(0.05, seconds)
    if claim.changes_something:
        # While this worker was suspended, it may have been declared lost and the outcome unknown.
        # But it is known.
        former = claim.call.error
        waits = Waits(former or error.as_dict(), seconds, is_former=former is not None)
        persist.record(call, reply, waits)
    else:
        with runtime.database.write() as session:
            now = runtime.clock.now()
            not_before = now + timedelta(seconds=seconds)
            link = reply.broke_off_at
            if ledger.release(session, claim.call, now, not_before=not_before, link=link):
                facts = call.measured(reply, claim.call.attempt)
                audit.call_ended(session, claim, "not made", now, error=error.as_dict(), **facts)
    log.info("call_waits", call=claim.call.id, provider=call.config.name, reason=error.code)
