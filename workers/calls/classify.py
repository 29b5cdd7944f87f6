"""What a reply means: to the endpoint's breaker, to its token, and for the call. Pure."""

from dataclasses import dataclass
from datetime import datetime

from sisgate.domain.rates import parse_retry_after
from sisgate.domain.records import encode
from sisgate.domain.response_class import CallFate, KeyEffect, Outcome, ResponseClass
from sisgate.domain.retries import Blame, Failure, GiveUp, MayBeDone, TryAgain, decide
from sisgate.errors import (
    AnswerInvalid,
    BrokerUnavailable,
    DatabaseUnavailable,
    DeferredError,
    MasterKeyMissing,
    OutcomeUnknown,
    SisgateError,
    TransientError,
)
from sisgate.ledger.calls import Claim, Purpose
from sisgate.ledger.jobs import how_to_resolve
from sisgate.providers.dialect import Listing, Page
from sisgate.providers.http import HttpResponse
from sisgate.providers.refusals import ClassifiedResponse
from sisgate.settings import ProviderConfig
from sisgate.sync import known_pages
from sisgate.sync.pages import is_behind
from workers.calls.context import (
    Answered,
    CallOutcome,
    Counted,
    ErrorPayload,
    Fails,
    PageAgain,
    PageRead,
    RateLimited,
    ReadOtherwise,
    Reply,
    Unknown,
    UsedToken,
    Waits,
)

NEW_TOKEN_SECONDS = 1.0
"""How long a call waits whose new token is not yet accepted: servers' clocks differ."""

NO_SUCH_PAGE = (404, 410, 416)
"""How servers refuse a page beyond the end of a list."""

OWN_OUTAGE_SECONDS = 2.0
"""How long a call waits after a failure of Redis or the database, or without the master key."""


@dataclass(frozen=True)
class Classification:
    """What a reply means to the endpoint's breaker and to its key, and the outcome of the call.

    `failure` is set when the provider failed a call that may be repeated: immediately elsewhere, or
    later. `drops_token`: the token must no longer be used. `refusal` is set when the provider
    refused the key: another key may be accepted.
    """

    breaker: Outcome
    outcome: CallOutcome
    failure: ErrorPayload | None = None
    drops_token: bool = False
    refusal: ErrorPayload | None = None

    @property
    def may_be_repeated(self) -> bool:
        """Whether the provider failed and another endpoint may be tried immediately."""
        return self.failure is not None

    def as_probe(self, seconds: float) -> CallOutcome:
        """Return the outcome to record for a call that served as a probe.

        A failed probe waits for `seconds` and spends no attempt.
        """
        return self.outcome if self.failure is None else Waits(self.failure, seconds, is_retry=True)


@dataclass(frozen=True)
class Judged:
    """Whose fault a failure is, and the endpoint's failures in a row with this one."""

    blame: Blame | None = None
    in_a_row: int = 0


NOT_JUDGED = Judged()


@dataclass(frozen=True)
class _Case:
    """What a decision about a failure depends on besides the failure."""

    config: ProviderConfig
    claim: Claim
    retry_after_seconds: float
    jitter: float
    judged: Judged


def classify(
    config: ProviderConfig,
    claim: Claim,
    reply: Reply,
    now: datetime,
    *,
    wait_seconds: float = 0.0,
    jitter: float,
    judged: Judged = NOT_JUDGED,
) -> Classification:
    """Return what a reply means. Slow work (parsing) happens here, before locks are taken.

    `wait_seconds` is how long the provider asked the whole fleet to wait, 0 for not at all,
    `jitter` a random number in [0, 1], and `judged` whose fault a failure is, if known.
    """
    at = _Case(config, claim, max(wait_seconds, _retry_after(reply, now)), jitter, judged)
    if reply.error is not None or reply.response is None:
        return _of_error(at, reply)
    verdict = config.dialect.classify(reply.response)
    error = _payload_of(verdict, reply.response)
    rule = verdict.response_class.rule
    match rule.call:
        case CallFate.DONE:
            try:
                return Classification(rule.breaker, _of_answer(config, claim, reply.response))
            except AnswerInvalid as invalid:
                return _of_invalid(at, ResponseClass.NOT_IN_DIALECT, invalid)
        case CallFate.WAITS:
            throttled = {"code": "throttled", "message": verdict.message}
            return Classification(rule.breaker, RateLimited(throttled, wait_seconds))
        case CallFate.TRIED_AGAIN:
            return _of_failure(at, verdict.response_class, error)
        case _:
            return _of_refusal(at, verdict.response_class, reply, error)


def _retry_after(reply: Reply, now: datetime) -> float:
    """Return the seconds of the response's Retry-After, 0 without one."""
    header = reply.response.headers.get("retry-after") if reply.response is not None else None
    return parse_retry_after(header, now) or 0.0


def _of_answer(config: ProviderConfig, claim: Claim, response: HttpResponse) -> CallOutcome:
    if claim.call.purpose == Purpose.REQUEST:
        return Answered(response)
    assert claim.listing is not None
    assert claim.job.resource is not None
    listing = Listing.from_json(claim.listing.plan)
    if claim.call.purpose == Purpose.COUNT:
        return Counted(config.dialect.read_count(listing, response))
    digest = None
    if known_pages.is_worth_knowing(claim):
        digest = known_pages.digest_of(config.dialect, response)
        if claim.known_page is not None and claim.known_page.digest == digest:
            return PageAgain(claim.known_page)
    return page_read(config, claim, response, digest)


def page_read(
    config: ProviderConfig, claim: Claim, response: HttpResponse, digest: bytes | None
) -> PageRead:
    """Read a page of a listing. It may be known again by `digest`."""
    assert claim.listing is not None
    assert claim.job.resource is not None
    listing = Listing.from_json(claim.listing.plan)
    page = config.dialect.read_page(claim.job.resource, listing, claim.position, response)
    encode(page.rows)  # before the lock is taken
    return PageRead(page, digest)


def _of_refusal(
    at: _Case, kind: ResponseClass, reply: Reply, error: ErrorPayload
) -> Classification:
    assert reply.response is not None
    again = _with_another_token(at.claim, kind, reply.token, error)
    if again is not None:
        return Classification(kind.rule.breaker, again, drops_token=True)
    if kind is ResponseClass.TOKEN_EXPIRED:
        error = {**error, "fresh_token": True}
    return Classification(
        kind.rule.breaker,
        _refused(at.config, at.claim, reply.response, error),
        drops_token=kind is ResponseClass.TOKEN_EXPIRED and reply.token is not None,
        refusal=error if kind.rule.key is not KeyEffect.STAYS else None,
    )


def _with_another_token(
    claim: Claim, kind: ResponseClass, token: UsedToken | None, error: ErrorPayload
) -> Waits | None:
    """Return a wait, at most once, for a retry with another token; None if that would not help.

    A server that lost its tokens (a restart) often responds with a bare 401, which casts doubt on
    any token but a new one. A token reported as expired is always replaced.
    """
    if token is None or (claim.call.error or {}).get("code") == "token_expired":
        return None
    if kind is ResponseClass.TOKEN_EXPIRED:
        # Refused although new: the server that checks it may not know it yet.
        seconds = NEW_TOKEN_SECONDS if token.is_new else 0.0
    elif kind is ResponseClass.UNAUTHORIZED and not token.is_new:
        seconds = 0.0
    else:
        return None
    return Waits({**error, "code": "token_expired"}, seconds)


def _refused(
    config: ProviderConfig, claim: Claim, response: HttpResponse, error: ErrorPayload
) -> CallOutcome:
    if claim.call.purpose == Purpose.REQUEST:
        return Answered(response, error)
    assert claim.listing is not None
    assert claim.job.resource is not None
    if _is_end_of_list(claim, response.status):
        return PageRead(Page(rows=[], received=0, ids=[]))
    listing = Listing.from_json(claim.listing.plan)
    plans = config.dialect.fallback(claim.job.resource, listing, response.status)
    if plans is None and claim.job.mode != "incremental":
        return Fails(error)
    return ReadOtherwise(error, plans)


def _is_end_of_list(claim: Claim, status: int) -> bool:
    """Whether a refusal means that no page follows the known rows."""
    assert claim.listing is not None
    is_page = claim.call.purpose == Purpose.PAGE
    return is_page and status in NO_SUCH_PAGE and is_behind(claim.position, claim.listing.total)


def _of_error(at: _Case, reply: Reply) -> Classification:
    error = reply.error or SisgateError("no answer")
    if isinstance(error, BrokerUnavailable | DatabaseUnavailable | MasterKeyMissing):
        # The provider has not failed, so no attempt is spent. Another worker may have the key.
        kind = ResponseClass.OWN_OUTAGE
        return Classification(kind.rule.breaker, Waits(error.as_dict(), OWN_OUTAGE_SECONDS))
    if isinstance(error, DeferredError):
        kind = ResponseClass.TOLD_TO_WAIT
        return Classification(kind.rule.breaker, Waits(error.as_dict(), error.seconds))
    if isinstance(error, TransientError):
        kind = ResponseClass.NO_RESPONSE if reply.is_authorised else ResponseClass.NO_TOKEN
        return _of_failure(at, kind, error.as_dict(), was_sent=reply.was_sent)
    if isinstance(error, AnswerInvalid):
        return _of_invalid(at, ResponseClass.UNREADABLE, error)
    return Classification(ResponseClass.MISCONFIGURED.rule.breaker, Fails(error.as_dict()))


def _of_invalid(at: _Case, kind: ResponseClass, invalid: AnswerInvalid) -> Classification:
    """The endpoint works, but its response is unusable: the fault is this call's own.

    It says nothing about the endpoint and spends an attempt, even as a probe. It may have been a
    glitch of something in between, so the call is repeated exactly once.
    """
    call, error, breaker = at.claim.call, invalid.as_dict(), kind.rule.breaker
    if at.claim.changes_something:
        return Classification(breaker, _unknown(at.claim, error))
    tries = call.tries + 1
    was_invalid = (call.error or {}).get("code") == AnswerInvalid.code
    if invalid.is_final or was_invalid or tries >= at.config.retry.policy.tries:
        return Classification(breaker, Fails({**error, "tries": tries}, tries))
    seconds = at.config.retry.policy.backoff_seconds(tries, at.jitter)
    return Classification(breaker, Waits(error, at.retry_after_seconds + seconds, spends_try=True))


def _of_failure(
    at: _Case, kind: ResponseClass, error: ErrorPayload, *, was_sent: bool = True
) -> Classification:
    call, breaker = at.claim.call, kind.rule.breaker
    failure = Failure(
        call.tries,
        was_sent and at.claim.changes_something,
        at.retry_after_seconds,
        at.judged.blame,
        at.judged.in_a_row,
    )
    match decide(at.config.retry.policy, failure, at.jitter):
        case MayBeDone():
            return Classification(breaker, _unknown(at.claim, error))
        case GiveUp(tries):
            return Classification(breaker, Fails({**error, "tries": tries}, tries), error)
        case TryAgain(seconds, spends_try):
            waits = Waits(error, seconds, spends_try=spends_try, is_retry=True)
            return Classification(breaker, waits, error)


def _unknown(claim: Claim, error: ErrorPayload) -> Unknown:
    method = (claim.call.target or {}).get("method")
    message = (
        f"{error['message']} It is unknown whether the provider carried out the {method}, "
        f"so it is not repeated. {how_to_resolve(claim.job.id)}"
    )
    return Unknown({**error, "code": OutcomeUnknown.code, "message": message})


def _payload_of(verdict: ClassifiedResponse, response: HttpResponse) -> ErrorPayload:
    payload = {
        "code": "provider_refused",
        "message": verdict.message,
        "status": response.status,
        "provider_code": verdict.provider_code,
        "request_id": verdict.request_id,
    }
    return {name: value for name, value in payload.items() if value is not None}
