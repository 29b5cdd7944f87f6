"""Recording a call's outcome: one transaction ends the call and carries all its effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sisgate.audit import events
from sisgate.domain.states import CallState, JobKind, JobState
from sisgate.domain.timings import Timed
from sisgate.errors import AnswerInvalid, DatabaseUnavailable, JobExpired, ProviderRefused
from sisgate.ledger import access, attempts, call_queue, controls, job_calls, jobs, redelivery
from sisgate.ledger.schema import Job
from sisgate.logs import get_logger
from sisgate.privacy import suppression
from sisgate.privacy.persons import Realms
from sisgate.sync import conclude, progress
from workers.calls import answers, classify
from workers.calls.classify import OWN_OUTAGE_SECONDS
from workers.calls.context import (
    Answered,
    CallContext,
    CallOutcome,
    Counted,
    Fails,
    PageAgain,
    PageRead,
    RateLimited,
    ReadOtherwise,
    Reply,
    Unknown,
    Waits,
)
from workers.calls.ending import Ending, LateWriter
from workers.jobs import planning
from workers.runtime import Runtime

log = get_logger()


def record(call: CallContext, reply: Reply, outcome: CallOutcome) -> None:
    """Write a call's outcome, publish what follows, and wake those waiting.

    The response cost a permit, so an unavailable database is waited for while the claim lasts;
    after that the call is another worker's.
    """
    runtime = call.runtime
    ended_at, attempt = runtime.clock.now(), call.claim.call.attempt
    response = answers.sealed(call, outcome) if isinstance(outcome, Answered) else None
    ending = Ending(call, reply, outcome, response, _former(runtime))
    written: _Written | None = None
    begun = 0.0
    while written is None:
        begun = runtime.clock.monotonic()
        try:
            written = _write(ending)
        except LateWriter:
            log.warning("late_answer_dropped", call=call.claim.call.id, provider=call.config.name)
            return
        except progress.PageChanged:
            ending = replace(ending, outcome=_read_after_all(call, reply, outcome))
        except DatabaseUnavailable:
            if runtime.clock.now() >= call.claim.call.lease_until:
                raise
            runtime.clock.sleep(OWN_OUTAGE_SECONDS)
    runtime.untold.add(runtime.clock.monotonic() - begun)
    planning.publish(runtime, call.claim.job, written.call_ids)
    call.trace(reply, ended_at, attempt)
    error = getattr(outcome, "error", None)
    log.info(
        "call_ended", result=_result(outcome), status=reply.status, endpoint=reply.endpoint or None,
        ms=round(1000 * reply.took_seconds, 1), code=error["code"] if error else None,
    )  # fmt: skip
    if written.state.is_final:
        job = call.claim.job
        log.info("job_ended", job=job.id, state=written.state.value, provider=job.provider)
        runtime.wakeups.announce(job.id)


def _former(runtime: Runtime) -> Mapping[str, float]:
    former = runtime.untold.take()
    return {Timed.RECORD: former} if former is not None else {}


def _result(outcome: CallOutcome) -> str:
    """Return in a word what became of a call."""
    if isinstance(outcome, Waits | RateLimited):
        return "waits"
    if isinstance(outcome, Unknown):
        return "unknown"
    is_refused = isinstance(outcome, Fails) or (isinstance(outcome, Answered) and outcome.error)
    return "failed" if is_refused else "done"


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


def _write(ending: Ending) -> _Written:
    """Write the outcome in one transaction."""
    runtime, claim = ending.call.runtime, ending.claim
    with runtime.database.write() as session:
        now = runtime.clock.now()
        if isinstance(ending.outcome, Answered):
            ended = answers.end_job(session, ending, ending.outcome, now)
            if ended is not None:
                return _Written(ended)
        # The job first, then the rest: every writer locks in this order.
        job = jobs.lock(session, claim.job.id)
        assert job is not None
        if claim.changes_something:
            redelivery.take_up_again(session, job, claim.call, now)
        job.calls_made += ending.call.sent
        ending = _with_begin(session, ending, job)
        ending = _without_erased(session, ending, job)
        _leave(session, ending, job, now)
        if not JobState(job.state).is_final:
            _follow(session, ending, job, now)
        elif job.state in {JobState.UNKNOWN, JobState.EXPIRED} and claim.changes_something:
            _clear_up(session, ending, job, now)
        else:
            # The job ended while this call was in progress; should the call wait, it waits no more.
            call_queue.withdraw(session, job.id, now)
        if not ending.reply.was_sent:
            number = claim.call.attempt
            attempts.not_sent(session, claim.call.id, number, now, ending.reply.broke_off_at)
        session.flush()
        if job.kind != JobKind.SYNC or JobState(job.state).is_final:
            return _Written(JobState(job.state))
        return _continued(session, ending, job, now)


def _with_begin(session: Session, ending: Ending, job: Job) -> Ending:
    """Note once, with the first call of a scheduled sync that ends, how late its first one began.

    That may have been another one: its worker was lost, or it takes longer.
    """
    if job.due_at is None or job.begun_at is not None:
        return ending
    job.begun_at = attempts.first_of(session, job.id)
    if job.begun_at is None:
        return ending
    late = events.late_ms(job.due_at, job.begun_at)
    return replace(ending, timed={**ending.timed, Timed.BEGUN: late})


def _without_erased(session: Session, ending: Ending, job: Job) -> Ending:
    """Remove erased persons from a page, so that they stay erased."""
    if not isinstance(ending.outcome, PageRead) or job.resource is None:
        return ending
    digests = access.suppressed(session, job.provider)
    if not digests:
        return ending
    page = suppression.screened(
        ending.outcome.page,
        provider=job.provider,
        resource=job.resource,
        realms=Realms.of(ending.call.config),
        digests=digests,
        key=suppression.person_key(session, ending.call.runtime.vault),
    )
    return replace(ending, outcome=replace(ending.outcome, page=page))


def _leave(session: Session, ending: Ending, job: Job, now: datetime) -> None:
    """End the call, or let it wait."""
    match ending.outcome:
        case Counted(total):
            ending.finish(session, CallState.DONE, now, total=total, error=None)
        case PageRead() | PageAgain() as outcome:
            page = outcome.page
            ending.finish(
                session,
                CallState.DONE,
                now,
                rows=page.received,
                total=page.total,
                edges=progress.edges_json(page),
                target=progress.judged_target(ending.claim.call, page),
                error=progress.flaws_json(page.flaws),
            )
        case Answered(_, error) as answered:
            ended = CallState.DONE if error is None else CallState.FAILED
            note = error or answers.unasked_page(ending.call, answered)
            ending.finish(session, ended, now, error=note)
        case ReadOtherwise(error):
            ending.finish(session, CallState.DONE, now, error=error)
        case Fails(error, tries):
            spent = {"tries": tries} if tries is not None else {}
            ending.finish(session, CallState.FAILED, now, error=error, **spent)
        case Unknown(error):
            ending.finish(session, CallState.UNKNOWN, now, error=error)
        case Waits(error, seconds, spends_try, is_retry, is_former):
            ending.put_back(
                session, now, seconds, error, failed=spends_try, is_retry=is_retry,
                is_former=is_former,
            )  # fmt: skip
        case RateLimited(error, seconds):
            job.throttled += 1
            if seconds > 0:
                until = now + timedelta(seconds=seconds)
                controls.note_block(session, job.provider, until, now)
            ending.put_back(session, now, max(1.0, seconds), error)


def _follow(session: Session, ending: Ending, job: Job, now: datetime) -> None:
    """Apply the outcome of a call to its live job."""
    match ending.outcome:
        case Counted(total):
            progress.record_count(session, ending.claim, job, total, now)
        case PageRead() | PageAgain() as outcome:
            _record_page(session, ending, job, outcome, now)
        case Answered() as answered:
            answers.store(session, ending, answered, job, now)
        case ReadOtherwise(_, plans) if plans is not None:
            progress.use_fallback(session, ending.claim, job, plans, now)
        case ReadOtherwise() if job.mode == "incremental":
            why = progress.FILTER_REFUSED
            progress.give_up_filter(session, job, ending.call.config, why, now)
        case Fails(error, tries):
            error = {**error, "call": ending.claim.call.id}
            if error.get("code") == ProviderRefused.code:
                progress.take_back_filter(session, job)
            jobs.end(session, job, JobState.FAILED, now, error=error, dead=tries is not None)
        case Unknown(error):
            error = {**error, "call": ending.claim.call.id}
            jobs.end(session, job, JobState.UNKNOWN, now, error=error)
        case _:
            pass


def _clear_up(session: Session, ending: Ending, job: Job, now: datetime) -> None:
    """End a job whose deadline passed while its call was in progress."""
    match ending.outcome:
        case Answered() as answered:
            job.error = None
            answers.store(session, ending, answered, job, now)
        case Unknown(error):
            jobs.end(session, job, JobState.UNKNOWN, now, error=error)
        case _:
            message = "The deadline passed before the provider responded. It was not carried out."
            error = {"code": JobExpired.code, "message": message}
            jobs.end(session, job, JobState.EXPIRED, now, error=error)


def _record_page(
    session: Session, ending: Ending, job: Job, outcome: PageRead | PageAgain, now: datetime
) -> None:
    known = outcome.known if isinstance(outcome, PageAgain) else None
    digest = outcome.digest if isinstance(outcome, PageRead) else None
    seen = progress.Seen(outcome.page, digest, known)
    try:
        progress.record_page(session, ending.claim, job, ending.call.config, seen, now)
    except AnswerInvalid as error:
        jobs.end(session, job, JobState.FAILED, now, error=error.as_dict())


def _continued(session: Session, ending: Ending, job: Job, now: datetime) -> _Written:
    """Conclude a live sync if this was its last call; queue its next calls if it is not over."""
    if job_calls.live_count(session, job.id) == 0:
        has_ended = conclude.conclude(session, job, ending.call.config, now)
        session.flush()
        if has_ended:
            return _Written(JobState(job.state))
    window = planning.window_of(session, ending.call.runtime, job)
    return _Written(JobState(job.state), call_queue.queue_next(session, job.id, window, now))
