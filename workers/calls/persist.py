"""Recording a call's outcome: one transaction ends the call and carries all its effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.orm import Session

from sisgate.audit import events
from sisgate.credentials.sealed import marks_of
from sisgate.domain.states import CallState, JobKind, JobState
from sisgate.errors import AnswerInvalid, DatabaseUnavailable, JobExpired
from sisgate.ledger import (
    access,
    call_queue,
    call_statements,
    controls,
    jobs,
    redelivery,
)
from sisgate.ledger import calls as ledger
from sisgate.ledger.calls import Claim
from sisgate.ledger.schema import Job, Response
from sisgate.privacy import suppression
from sisgate.privacy.persons import Realms
from sisgate.settings import ProviderConfig
from sisgate.sync import conclude, progress
from workers.calls import classify
from workers.calls.classify import OWN_OUTAGE_SECONDS
from workers.calls.context import (
    Answered,
    CallContext,
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
    Waits,
)
from workers.jobs import planning

log = structlog.get_logger()

# fmt: off
RESPONSE_HEADERS = frozenset(
    [
        "cache-control", "content-disposition", "content-language", "content-type", "etag",
        "last-modified", "link", "location", "retry-after", "x-total-count",
    ]
)
# fmt: on
"""Headers of a provider's response that are passed on to the app."""


class LateWriter(Exception):
    """A later attempt took over the claim; this one must leave no trace."""


def record(call: CallContext, reply: Reply, outcome: CallOutcome) -> None:
    """Write a call's outcome, publish what follows, and wake those waiting.

    The response cost a permit, so an unavailable database is waited for while the claim lasts;
    after that the call is another worker's.
    """
    runtime, entry = call.runtime, _Entry(call, reply, outcome, _kept(call, outcome))
    written: _Written | None = None
    while written is None:
        try:
            written = _write(entry)
        except LateWriter:
            log.warning("late_answer_dropped", call=call.claim.call.id, provider=call.config.name)
            return
        except progress.PageChanged:
            entry = replace(entry, outcome=_read_after_all(call, reply, outcome))
        except DatabaseUnavailable:
            if runtime.clock.now() >= call.claim.call.lease_until:
                raise
            runtime.clock.sleep(OWN_OUTAGE_SECONDS)
    planning.publish(runtime, call.claim.job, written.call_ids)
    if written.state.is_final:
        job = call.claim.job
        log.info("job_ended", job=job.id, state=written.state.value, provider=job.provider)
        runtime.wakeups.announce(job.id)


def _read_after_all(call: CallContext, reply: Reply, outcome: CallOutcome) -> CallOutcome:
    """Read a page that looked known, but whose records have changed since."""
    assert isinstance(outcome, PageAgain)
    assert reply.response is not None
    return classify.page_read(call.config, call.claim, reply.response, outcome.known.digest)


@dataclass(frozen=True)
class _Written:
    """The result of the transaction: the job's state, and the calls to publish."""

    state: JobState
    call_ids: Sequence[int] = ()


@dataclass(frozen=True)
class _Kept:
    """The stored part of a response besides its head: the body, and the marks to search by."""

    sealed_body: bytes = b""
    asked: str | None = None
    truncated: bool = False
    kept_for: timedelta = timedelta(0)


@dataclass(frozen=True)
class _Entry:
    """One call's outcome, ready to be written."""

    call: CallContext
    reply: Reply
    outcome: CallOutcome
    kept: _Kept

    @property
    def claim(self) -> Claim:
        """The call as this worker claimed it."""
        return self.call.claim

    @property
    def facts(self) -> dict[str, Any]:
        """The known facts of the reply."""
        facts: dict[str, Any] = {"endpoint": self.reply.endpoint}
        if (response := self.reply.response) is not None:
            facts |= {
                "status": response.status,
                "body_bytes": len(response.body),
                "elapsed_ms": round(response.elapsed_seconds * 1000),
            }
        return facts

    def finish(self, session: Session, state: CallState, now: datetime, **more: Any) -> None:
        """End the call with the facts of its reply."""
        facts = self.facts
        if not ledger.finish(session, self.claim.call, state, now, **facts, **more):
            raise LateWriter
        events.call_ended(
            session, self.claim, state.value, now, key=self.reply.key, **facts, **more
        )

    def put_back(
        self,
        session: Session,
        now: datetime,
        seconds: float,
        error: ErrorPayload,
        *,
        failed: bool = False,
        is_retry: bool = False,
    ) -> None:
        """Let the call wait."""
        not_before = now + timedelta(seconds=seconds)
        if not ledger.put_back(
            session,
            self.claim.call,
            now,
            not_before=not_before,
            failed=failed,
            is_retry=is_retry,
            status=self.reply.status,
            error=error,
        ):
            raise LateWriter
        fields = {"status": self.reply.status, "key": self.reply.key, "error": error}
        events.call_ended(session, self.claim, "waits", now, **fields)


def _write(entry: _Entry) -> _Written:
    """Write the outcome in one transaction."""
    runtime, claim = entry.call.runtime, entry.claim
    with runtime.database.write() as session:
        now = runtime.clock.now()
        if isinstance(entry.outcome, Answered):
            ended = _end_answered(session, entry, entry.outcome, now)
            if ended is not None:
                return _Written(ended)
        # The job first, then the rest: every writer locks in this order.
        job = jobs.lock(session, claim.job.id)
        assert job is not None
        if claim.changes_something:
            redelivery.take_up_again(session, job, claim.call, now)
        job.calls_made += entry.call.sent
        entry = _without_erased(session, entry, job)
        _leave(session, entry, job, now)
        if not JobState(job.state).is_final:
            _follow(session, entry, job, now)
        elif job.state in {JobState.UNKNOWN, JobState.EXPIRED} and claim.changes_something:
            _clear_up(session, entry, job, now)
        if not entry.reply.was_sent:
            ledger.forget_attempt(session, claim.call)
        _continue(session, entry.call.config, job, now)
        ids: list[int] = []
        if job.kind == JobKind.SYNC:
            window = planning.window_of(session, runtime, job)
            ids = call_queue.queue_next(session, job.id, window, now)
        return _Written(JobState(job.state), ids)


def _end_answered(
    session: Session, entry: _Entry, outcome: Answered, now: datetime
) -> JobState | None:
    """End an answered request in few statements; return its job's new state.

    None if the job has already ended: then nothing is written, and the full rules apply.
    """
    claim = entry.claim
    state = call_statements.lock_job(session, claim.job.id)
    if state is None or JobState(state).is_final:
        return None
    is_good = outcome.error is None
    facts = entry.facts
    call = {
        "id": claim.call.id, "attempt": claim.call.attempt, "error": outcome.error,
        "state": (CallState.DONE if is_good else CallState.FAILED).value, **facts,
    }  # fmt: skip
    new_state = JobState.DONE if is_good else JobState.FAILED
    job = {"state": new_state.value, "error": outcome.error, "sent": entry.call.sent}
    response = _response_of(entry, outcome, now)
    if not call_statements.end_answered(session, call, job, response, now):
        raise LateWriter
    events.call_ended(
        session, claim, call["state"], now, key=entry.reply.key, error=outcome.error, **facts
    )
    return new_state


def _without_erased(session: Session, entry: _Entry, job: Job) -> _Entry:
    """Remove erased persons from a page, so that they stay erased."""
    if not isinstance(entry.outcome, PageRead) or job.resource is None:
        return entry
    digests = access.suppressed(session, job.provider)
    if not digests:
        return entry
    page = suppression.screened(
        entry.outcome.page,
        provider=job.provider,
        resource=job.resource,
        realms=Realms.of(entry.call.config),
        digests=digests,
        key=suppression.person_key(session, entry.call.runtime.vault),
    )
    return replace(entry, outcome=replace(entry.outcome, page=page))


def _leave(session: Session, entry: _Entry, job: Job, now: datetime) -> None:
    """End the call, or let it wait."""
    match entry.outcome:
        case Counted(total):
            entry.finish(session, CallState.DONE, now, total=total)
        case PageRead() | PageAgain() as outcome:
            page = outcome.page
            entry.finish(
                session,
                CallState.DONE,
                now,
                rows=page.received,
                total=page.total,
                edges=progress.edges_json(page),
                target=progress.judged_target(entry.claim.call, page),
                error=progress.flaws_json(page.flaws),
            )
        case Answered(_, error):
            ended = CallState.DONE if error is None else CallState.FAILED
            entry.finish(session, ended, now, error=error)
        case ReadOtherwise(error):
            entry.finish(session, CallState.DONE, now, error=error)
        case Fails(error, tries):
            spent = {"tries": tries} if tries is not None else {}
            entry.finish(session, CallState.FAILED, now, error=error, **spent)
        case Unknown(error):
            entry.finish(session, CallState.UNKNOWN, now, error=error)
        case Waits(error, seconds, spends_try, is_retry):
            entry.put_back(session, now, seconds, error, failed=spends_try, is_retry=is_retry)
        case RateLimited(error, seconds):
            job.throttled += 1
            if seconds > 0:
                until = now + timedelta(seconds=seconds)
                controls.note_block(session, job.provider, until, now)
            entry.put_back(session, now, max(1.0, seconds), error)


def _follow(session: Session, entry: _Entry, job: Job, now: datetime) -> None:
    """Apply the outcome of a call to its live job."""
    match entry.outcome:
        case Counted(total):
            progress.record_count(session, entry.claim, job, total, now)
        case PageRead() | PageAgain() as outcome:
            _record_page(session, entry, job, outcome, now)
        case Answered():
            _store(session, entry, job, now)
        case ReadOtherwise(_, plans) if plans is not None:
            progress.use_fallback(session, entry.claim, job, plans, now)
        case ReadOtherwise() if job.mode == "incremental":
            why = "the provider refused the filter"
            progress.give_up_filter(session, job, entry.call.config, why, now)
        case Fails(error, tries):
            error = {**error, "call": entry.claim.call.id}
            jobs.end(session, job, JobState.FAILED, now, error=error, dead=tries is not None)
        case Unknown(error):
            error = {**error, "call": entry.claim.call.id}
            jobs.end(session, job, JobState.UNKNOWN, now, error=error)
        case _:
            pass


def _clear_up(session: Session, entry: _Entry, job: Job, now: datetime) -> None:
    """End a job whose deadline passed while its call was in progress."""
    match entry.outcome:
        case Answered():
            job.error = None
            _store(session, entry, job, now)
        case Unknown(error):
            jobs.end(session, job, JobState.UNKNOWN, now, error=error)
        case _:
            message = "The deadline passed before the provider responded. It was not carried out."
            error = {"code": JobExpired.code, "message": message}
            jobs.end(session, job, JobState.EXPIRED, now, error=error)


def _record_page(
    session: Session, entry: _Entry, job: Job, outcome: PageRead | PageAgain, now: datetime
) -> None:
    known = outcome.known if isinstance(outcome, PageAgain) else None
    digest = outcome.digest if isinstance(outcome, PageRead) else None
    seen = progress.Seen(outcome.page, digest, known)
    try:
        progress.record_page(session, entry.claim, job, entry.call.config, seen, now)
    except AnswerInvalid as error:
        jobs.end(session, job, JobState.FAILED, now, error=error.as_dict())


def _kept(call: CallContext, outcome: CallOutcome) -> _Kept:
    """Seal the body of a response to keep; this is slow, so it is done before locks."""
    if not isinstance(outcome, Answered):
        return _Kept()
    fleet, vault, job = call.runtime.configuration.current(), call.runtime.vault, call.claim.job
    body = outcome.response.body[: fleet.response_max_bytes]
    sealed = vault.seal(body, f"responses/{job.id}")
    asked = marks_of(vault, job.provider, call.target)[0]
    truncated = len(outcome.response.body) > fleet.response_max_bytes
    return _Kept(sealed, asked, truncated, fleet.response_retention)


def _store(session: Session, entry: _Entry, job: Job, now: datetime) -> None:
    assert isinstance(entry.outcome, Answered)
    error = entry.outcome.error
    session.merge(Response(**_response_of(entry, entry.outcome, now)))
    jobs.end(session, job, JobState.FAILED if error else JobState.DONE, now, error=error)


def _response_of(entry: _Entry, outcome: Answered, now: datetime) -> dict[str, Any]:
    """Return the row of the stored response."""
    response = outcome.response
    return {
        "job_id": entry.claim.job.id,
        "status": response.status,
        "headers": {k: v for k, v in response.headers.items() if k in RESPONSE_HEADERS},
        "sealed_body": entry.kept.sealed_body,
        "asked": entry.kept.asked,
        "stored_at": now,
        "truncated": entry.kept.truncated,
        "delete_after": now + entry.kept.kept_for,
    }


def _continue(session: Session, config: ProviderConfig, job: Job, now: datetime) -> None:
    is_live = not JobState(job.state).is_final
    session.flush()
    if not is_live:
        # The job ended while this call was in progress; no more of its calls may be made.
        call_queue.withdraw(session, job.id, now)
    elif job.kind == JobKind.SYNC and ledger.live_count(session, job.id) == 0:
        conclude.conclude(session, job, config, now)
        session.flush()
