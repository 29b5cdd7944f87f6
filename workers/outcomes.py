"""What a reply does: one transaction that ends the call and carries all its effects."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.orm import Session

from sisgate.breakers.spec import Outcome
from sisgate.domain.states import CallState, JobKind, JobState
from sisgate.errors import (
    AnswerInvalid,
    BrokerUnavailable,
    DatabaseUnavailable,
    DeferredError,
    ProviderUnavailable,
    SisgateError,
    TransientError,
)
from sisgate.ledger import calls as ledger
from sisgate.ledger import controls, jobs, responses
from sisgate.ledger.calls import Claim, Purpose
from sisgate.ledger.schema import Job, Response
from sisgate.providers.dialect import HttpResponse, Listing, Page
from sisgate.settings import ProviderConfig
from sisgate.sync import conclude, progress
from sisgate.transport.verdict import MAX_TRIES, Meaning, Verdict, backoff_seconds, judge
from workers import planning
from workers.runtime import Runtime

log = structlog.get_logger()

OWN_OUTAGE_SECONDS = 2.0
"""How long a call waits when Redis or the database failed under it."""

RESPONSE_HEADERS = frozenset(
    {"content-type", "etag", "last-modified", "link", "x-total-count", "retry-after"}
)
"""Headers of a provider's answer that are passed on to the app."""


@dataclass(frozen=True)
class Reply:
    """What a call brought: a response, or the error that stood in its way.

    Without authorisation (its token could not be had) the endpoint itself was asked nothing.
    """

    endpoint: str
    response: HttpResponse | None = None
    error: SisgateError | None = None
    forget_token: Callable[[], None] = field(default=lambda: None)
    took_seconds: float = 0.0
    is_authorised: bool = True

    @property
    def was_sent(self) -> bool:
        """Whether the provider may have seen the call, so that it may count against its quota."""
        if self.response is not None:
            return True
        return (
            isinstance(self.error, ProviderUnavailable)
            and self.is_authorised
            and self.error.detail.get("sent") is not False
        )


class LateWriter(Exception):
    """The claim was taken over by a later attempt; this one must leave no trace."""


Effect = Callable[[Session, Job, datetime], None]


@dataclass(frozen=True)
class Reading:
    """What a reply means to the endpoint's breaker, and what is to be written.

    `instead` is what to write when the provider failed a call that it may be asked again, and the
    call was not made for its own sake: it waits for so many seconds and spends no try.
    """

    outcome: Outcome
    effect: Effect
    instead: Callable[[float], Effect] | None = None

    @property
    def may_be_repeated(self) -> bool:
        """Whether the provider failed and the same may be asked elsewhere at once."""
        return self.instead is not None


def record(
    runtime: Runtime,
    config: ProviderConfig,
    claim: Claim,
    reply: Reply,
    effect: Effect,
    *,
    calls: int,
) -> None:
    """Write a call's outcome, publish what follows, and wake whoever waits.

    `calls` is how many requests the provider may have seen for it. An answer in hand cost a permit,
    so a database that is away is waited for as long as the claim holds; after that the call is
    another worker's.
    """
    lease_until = claim.call.lease_until
    written: tuple[Job, list[int], bool] | None = None
    while written is None:
        try:
            written = _write(runtime, config, claim, reply, effect, calls)
        except LateWriter:
            log.warning("late_answer_dropped", call=claim.call.id, provider=config.name)
            return
        except DatabaseUnavailable:
            if lease_until is None or runtime.clock.now() >= lease_until:
                raise
            runtime.clock.sleep(OWN_OUTAGE_SECONDS)
    job, ids, ended = written
    planning.publish(runtime, job, ids)
    if ended:
        log.info("job_ended", job=job.id, state=job.state, provider=job.provider)
        runtime.wakeups.announce(job.id)


def _write(
    runtime: Runtime,
    config: ProviderConfig,
    claim: Claim,
    reply: Reply,
    effect: Effect,
    calls: int,
) -> tuple[Job, list[int], bool]:
    """Write the outcome in one transaction; return the job, the calls to publish, if it ended."""
    with runtime.database.write() as session:
        now = runtime.clock.now()
        # The job first, then the rest: every writer locks in this order.
        job = jobs.lock(session, claim.job.id)
        assert job is not None
        job.calls_made += calls
        effect(session, job, now)
        if not reply.was_sent:
            ledger.forget_attempt(session, claim.call)
        _continue(session, config, job, now)
        ids: list[int] = []
        if job.kind == JobKind.SYNC:
            window = planning.window_of(session, runtime, job)
            ids = ledger.queue_next(session, job.id, window, now)
        return job, ids, JobState(job.state).is_final


def read(
    runtime: Runtime, config: ProviderConfig, claim: Claim, reply: Reply, wait_seconds: float
) -> Reading:
    """Return what a reply means. Everything slow (parsing, sealing) happens here, before locks."""
    facts = _facts(reply)
    if reply.error is not None or reply.response is None:
        return _after_error(claim, reply, facts)
    verdict = judge(config.dialect, reply.response)
    match verdict.meaning:
        case Meaning.DONE:
            try:
                effect = _after_answer(runtime, config, claim, reply.response, facts)
            except AnswerInvalid as error:
                return _after_failure(claim, error.as_dict(), facts)
            return Reading(Outcome.SUCCESS, effect)
        case Meaning.THROTTLED:
            return Reading(Outcome.NEUTRAL, _after_throttle(claim, verdict, wait_seconds))
        case Meaning.TOKEN_EXPIRED:
            with suppress(BrokerUnavailable):
                reply.forget_token()
            return Reading(Outcome.NEUTRAL, _after_expired_token(claim, verdict, facts))
        case Meaning.UNAVAILABLE:
            return _after_failure(claim, _error_of(verdict, facts), facts)
        case Meaning.REFUSED:
            effect = _after_refusal(runtime, config, claim, reply.response, verdict, facts)
            return Reading(Outcome.NEUTRAL, effect)


def _after_answer(
    runtime: Runtime,
    config: ProviderConfig,
    claim: Claim,
    response: HttpResponse,
    facts: dict[str, Any],
) -> Effect:
    if claim.call.purpose == Purpose.REQUEST:
        return _request_effect(runtime, claim, response, JobState.DONE, None, facts)
    assert claim.listing is not None
    assert claim.job.resource is not None
    listing = Listing.from_json(claim.listing.plan)
    if claim.call.purpose == Purpose.COUNT:
        total = config.dialect.read_count(listing, response)
        return _count_effect(claim, total, facts)
    page = config.dialect.read_page(claim.job.resource, listing, claim.position, response)
    return _page_effect(config, claim, page, facts)


def _count_effect(claim: Claim, total: int, facts: dict[str, Any]) -> Effect:
    def effect(session: Session, job: Job, now: datetime) -> None:
        _finish(session, claim, CallState.DONE, now, total=total, **facts)
        if not JobState(job.state).is_final:
            progress.record_count(session, claim, job, total, now)

    return effect


def _page_effect(config: ProviderConfig, claim: Claim, page: Page, facts: dict[str, Any]) -> Effect:
    for row in page.rows:
        _ = row.content_hash, row.original_json  # computed and cached before the lock is taken

    def effect(session: Session, job: Job, now: datetime) -> None:
        _finish(
            session,
            claim,
            CallState.DONE,
            now,
            rows=page.received,
            total=page.total,
            edges=progress.edges_json(page),
            target=progress.judged_target(claim.call, page),
            **facts,
        )
        if JobState(job.state).is_final:
            return
        try:
            progress.record_page(session, claim, job, config, page, now)
        except AnswerInvalid as error:
            jobs.end(session, job, JobState.FAILED, now, error=error.as_dict())

    return effect


def _request_effect(
    runtime: Runtime,
    claim: Claim,
    response: HttpResponse,
    state: JobState,
    error: dict[str, Any] | None,
    facts: dict[str, Any],
) -> Effect:
    limit = runtime.settings.response_max_bytes
    sealed = runtime.vault.seal(response.body[:limit], f"responses/{claim.job.id}")
    headers = {k: v for k, v in response.headers.items() if k in RESPONSE_HEADERS}

    def effect(session: Session, job: Job, now: datetime) -> None:
        ended = CallState.DONE if state is JobState.DONE else CallState.FAILED
        _finish(session, claim, ended, now, error=error, **facts)
        if JobState(job.state).is_final:
            return
        stored = Response(
            job_id=job.id,
            status=response.status,
            headers=headers,
            sealed_body=sealed,
            truncated=len(response.body) > limit,
            delete_after=now + runtime.settings.response_retention,
        )
        responses.store(session, stored)
        jobs.end(session, job, state, now, error=error)

    return effect


def _after_throttle(claim: Claim, verdict: Verdict, wait_seconds: float) -> Effect:
    def effect(session: Session, job: Job, now: datetime) -> None:
        job.throttled += 1
        if wait_seconds > 0:
            until = now + timedelta(seconds=wait_seconds)
            controls.note_block(session, job.provider, until, now)
        not_before = now + timedelta(seconds=max(1.0, wait_seconds))
        error = {"code": "throttled", "message": verdict.message}
        _put_back(session, claim, now, not_before=not_before, failed=False, status=429, error=error)

    return effect


def _after_expired_token(claim: Claim, verdict: Verdict, facts: dict[str, Any]) -> Effect:
    error = {**_error_of(verdict, facts), "code": "token_expired"}
    if (claim.call.error or {}).get("code") == "token_expired":
        return _fail(claim, {**error, "code": "token_refused"}, facts)

    def effect(session: Session, _job: Job, now: datetime) -> None:
        _put_back(session, claim, now, not_before=now, failed=False, status=401, error=error)

    return effect


def _after_refusal(
    runtime: Runtime,
    config: ProviderConfig,
    claim: Claim,
    response: HttpResponse,
    verdict: Verdict,
    facts: dict[str, Any],
) -> Effect:
    error = _error_of(verdict, facts)
    if claim.call.purpose == Purpose.REQUEST:
        return _request_effect(runtime, claim, response, JobState.FAILED, error, facts)
    assert claim.listing is not None
    assert claim.job.resource is not None
    listing = Listing.from_json(claim.listing.plan)
    plans = config.dialect.fallback(claim.job.resource, listing, response.status)
    filtered = claim.job.mode == "incremental"
    if plans is None and not filtered:
        return _fail(claim, error, facts)

    def effect(session: Session, job: Job, now: datetime) -> None:
        _finish(session, claim, CallState.DONE, now, error=error, **facts)
        if JobState(job.state).is_final:
            return
        if plans is not None:
            progress.use_fallback(session, claim, job, plans, now)
        elif job.mode == "incremental":
            progress.give_up_filter(session, job, config, "the provider refused the filter", now)

    return effect


def _after_error(claim: Claim, reply: Reply, facts: dict[str, Any]) -> Reading:
    error, was_sent = reply.error or SisgateError("no answer"), reply.was_sent
    if isinstance(error, BrokerUnavailable | DatabaseUnavailable):
        # The provider has not failed, so no try is spent.
        return Reading(Outcome.NEUTRAL, _wait(claim, error.as_dict(), OWN_OUTAGE_SECONDS))
    if isinstance(error, DeferredError):
        return Reading(Outcome.NEUTRAL, _wait(claim, error.as_dict(), error.seconds))
    if isinstance(error, TransientError):
        return _after_failure(claim, error.as_dict(), facts, sent=was_sent)
    return Reading(Outcome.NEUTRAL, _fail(claim, error.as_dict(), facts))


def _wait(claim: Claim, error: dict[str, Any], seconds: float) -> Effect:
    def effect(session: Session, _job: Job, now: datetime) -> None:
        not_before = now + timedelta(seconds=seconds)
        _put_back(session, claim, now, not_before=not_before, failed=False, error=error)

    return effect


def _after_failure(
    claim: Claim, error: dict[str, Any], facts: dict[str, Any], *, sent: bool = True
) -> Reading:
    tries = claim.call.tries + 1
    method = (claim.call.target or {}).get("method", "GET")
    if sent and claim.call.purpose == Purpose.REQUEST and method not in ledger.SAFE_METHODS:
        message = (
            f"{error['message']} Whether the provider carried out the {method} is unknown, so it "
            "is not repeated. Look at the provider, then `sisgate jobs retry` if it did not."
        )
        unknown = _fail(claim, {**error, "code": "unknown", "message": message}, facts)
        return Reading(Outcome.FAILURE, unknown)

    def effect(session: Session, _job: Job, now: datetime) -> None:
        not_before = now + timedelta(seconds=backoff_seconds(tries))
        status = facts.get("status")
        _put_back(
            session, claim, now, not_before=not_before, failed=True, status=status, error=error
        )

    last = _fail(claim, {**error, "tries": tries}, facts) if tries >= MAX_TRIES else None
    return Reading(Outcome.FAILURE, last or effect, lambda seconds: _wait(claim, error, seconds))


def _fail(claim: Claim, error: dict[str, Any], facts: dict[str, Any]) -> Effect:
    def effect(session: Session, job: Job, now: datetime) -> None:
        _finish(session, claim, CallState.FAILED, now, error=error, **facts)
        if not JobState(job.state).is_final:
            jobs.end(session, job, JobState.FAILED, now, error={**error, "call": claim.call.id})

    return effect


def _continue(session: Session, config: ProviderConfig, job: Job, now: datetime) -> None:
    is_live = not JobState(job.state).is_final
    session.flush()
    if not is_live:
        # The job ended while this call was under way; nothing of it may be made any more.
        ledger.withdraw(session, job.id, now)
    elif job.kind == "sync" and ledger.live_count(session, job.id) == 0:
        conclude.conclude(session, job, config, now)
        session.flush()


def _finish(session: Session, claim: Claim, state: CallState, now: datetime, **facts: Any) -> None:
    if not ledger.finish(session, claim.call, state, now, **facts):
        raise LateWriter


def _put_back(session: Session, claim: Claim, now: datetime, **words: Any) -> None:
    if not ledger.put_back(session, claim.call, now, **words):
        raise LateWriter


def _facts(reply: Reply) -> dict[str, Any]:
    facts: dict[str, Any] = {"endpoint": reply.endpoint}
    if reply.response is not None:
        facts |= {
            "status": reply.response.status,
            "body_bytes": len(reply.response.body),
            "elapsed_ms": round(reply.response.elapsed_seconds * 1000),
        }
    return facts


def _error_of(verdict: Verdict, facts: dict[str, Any]) -> dict[str, Any]:
    words = {
        "code": "provider_refused",
        "message": verdict.message,
        "status": facts.get("status"),
        "provider_code": verdict.provider_code,
        "request_id": verdict.request_id,
    }
    return {name: value for name, value in words.items() if value is not None}
