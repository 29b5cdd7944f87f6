"""What came of calls lately, and which wait: facts of a verdict. Of jobs: `recent_jobs`.

Each function reads a bounded number of rows, or only live ones and those of a few minutes.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from sisgate.domain.links import Link
from sisgate.domain.states import CallState, JobState
from sisgate.ledger.attempts import was_sent, was_tried
from sisgate.ledger.calls import HTML_PAGE, Purpose
from sisgate.ledger.schema import Attempt, Call, Job
from sisgate.ledger.states import is_in, is_still, job_is_live, live_call

SAMPLE = 200
"""Calls whose latency is read, jobs and waiting calls whose errors are read, of one provider."""


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """An attempt that ended: whose it was, when it began, and its status; None for no answer.

    `unsent` is where it broke off if it was not sent. What was not sent for a reason of our own
    is none. `is_page`: a request was answered by a page for people. `part` is what its call is
    about: a dataset, or the method of a request. `endpoint` and `provider_seconds` are those of the
    call's last attempt, the latter None for others, and without an answer.
    """

    app: str
    started_at: datetime
    status: int | None
    part: str
    endpoint: str | None
    provider_seconds: float | None
    all_seconds: float
    unsent: str | None = None
    is_page: bool = False


@dataclass(slots=True)
class Contact:
    """When a provider answered last, and since when it gives no answer; None for neither."""

    answered_at: datetime | None = None
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WaitingCalls:
    """The calls of one app and priority that wait for one provider, and since when.

    `queued_since` is since when the oldest one waits that a worker may take; None without any.
    """

    provider: str
    app: str
    priority: int
    calls: int
    oldest: datetime
    queued_since: datetime | None


@dataclass(frozen=True, slots=True)
class AppCalls:
    """How many calls of an app a provider may have seen, and how many of them it failed."""

    app: str
    calls: int
    failed: int


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """An error that a call or a job met; `at` is when it ended, None if it is live.

    `resource` is the dataset that it is about, None for a request.
    """

    provider: str
    job: str
    at: datetime | None
    error: dict[str, Any]
    resource: str | None = None


@dataclass(frozen=True, slots=True)
class RunningAttempt:
    """A call under way."""

    call: int
    provider: str
    started_at: datetime


def contacts(session: Session, since: datetime) -> dict[str, Contact]:
    """Return by provider when it last answered since a time, and when it gave no answer."""
    of_provider = select(
        Attempt.provider, func.min(Attempt.started_at), func.max(Attempt.started_at)
    )
    recent = of_provider.where(Attempt.started_at >= since, Attempt.ended_at.is_not(None)).group_by(
        Attempt.provider
    )
    found: dict[str, Contact] = {}
    for provider, _, last in session.execute(recent.where(Attempt.status.is_not(None))):
        found[provider] = Contact(answered_at=last)
    # One that gave no token answered, wherever its token endpoint is.
    silent = func.coalesce(Attempt.unsent, "").not_in([Link.FLEET, Link.TOKEN])
    for provider, first, last in session.execute(recent.where(Attempt.status.is_(None), silent)):
        contact = found.setdefault(provider, Contact())
        moment = first if contact.answered_at is None or first > contact.answered_at else last
        if contact.answered_at is None or moment > contact.answered_at:
            contact.failed_at = min(contact.failed_at or moment, moment)
    return found


def ended_attempts(
    session: Session,
    providers: Sequence[str],
    since: datetime | None,
    until: datetime | None = None,
) -> dict[str, list[EndedAttempt]]:
    """Return by provider the newest attempts in a time that have ended, newest first."""
    attempt, call = Attempt, Call
    is_last = call.attempt == attempt.number
    query = (
        select(
            attempt.provider, Job.app, attempt.started_at, attempt.ended_at, attempt.status,
            Job.resource, call.target["method"].as_string(), call.endpoint,
            case((is_last, call.elapsed_ms)), attempt.unsent,
            case((is_last, call.error["code"].as_string())),
        )
        .join(call, call.id == attempt.call_id)
        .join(Job, Job.id == call.job_id)
        .where(
            attempt.ended_at.is_not(None),
            was_tried(),
            true() if since is None else attempt.started_at >= since,
            true() if until is None else attempt.started_at < until,
        )
    )  # fmt: skip
    found: defaultdict[str, list[EndedAttempt]] = defaultdict(list)
    rows = _newest(session, query, attempt.provider, attempt.started_at, providers)
    for provider, app, begun, ended, status, resource, method, endpoint, elapsed, *more in rows:
        unsent, code = more
        found[provider].append(
            EndedAttempt(
                app, begun, status, resource or method or "", endpoint,
                None if elapsed is None else elapsed / 1000, (ended - begun).total_seconds(),
                unsent, code == HTML_PAGE,
            )
        )  # fmt: skip
    return found


def gave_data(session: Session, provider: str, since: datetime, until: datetime) -> bool:
    """Return whether a request was answered by data, and not by a page, in a time."""
    answered = (
        select(Attempt.call_id)
        .join(Call, Call.id == Attempt.call_id)
        .where(
            Attempt.provider == provider,
            Attempt.started_at >= since,
            Attempt.started_at < until,
            Attempt.status < 300,
            Call.purpose == Purpose.REQUEST,
            Call.error["code"].as_string().is_distinct_from(HTML_PAGE),
        )
    )
    return session.execute(answered.limit(1)).first() is not None


def calls_by_app(
    session: Session, providers: Sequence[str], since: datetime
) -> dict[str, list[AppCalls]]:
    """Return by provider how many calls of each app it may have seen since a time, most first."""
    calls = func.count()
    is_failed = and_(
        Attempt.ended_at.is_not(None), or_(Attempt.status.is_(None), Attempt.status >= 500)
    )
    rows = session.execute(
        select(Attempt.provider, Job.app, calls, func.sum(case((is_failed, 1), else_=0)))
        .select_from(Attempt)
        .join(Call, Call.id == Attempt.call_id)
        .join(Job, Job.id == Call.job_id)
        .where(among(Attempt.provider, providers), Attempt.started_at >= since, was_sent())
        .group_by(Attempt.provider, Job.app)
        .order_by(calls.desc(), Job.app)
    )
    found: defaultdict[str, list[AppCalls]] = defaultdict(list)
    for provider, *row in rows:
        found[provider].append(AppCalls(*row))
    return found


def waiting(session: Session, providers: Sequence[str] | None = None) -> list[WaitingCalls]:
    """Return the calls that wait, and the accepted jobs that have none yet as one call each."""
    of_provider = among(Job.provider, providers)
    calls = (
        select(
            Job.provider,
            Job.app,
            Job.priority,
            func.count(),
            func.min(Call.planned_at),
            func.min(case((is_still(Call.state, CallState.QUEUED), Call.published_at))),
        )
        .join(Call, Call.job_id == Job.id)
        .where(job_is_live(), of_provider, live_call(CallState.PLANNED, CallState.QUEUED))
        .group_by(Job.provider, Job.app, Job.priority)
    )
    unplanned = (
        select(Job.provider, Job.app, Job.priority, func.count(), func.min(Job.accepted_at))
        .where(is_in(Job.state, JobState.ACCEPTED), of_provider)
        .where(~select(Call.id).where(Call.job_id == Job.id).exists())
        .group_by(Job.provider, Job.app, Job.priority)
    )
    rows = [*session.execute(calls), *((*row, None) for row in session.execute(unplanned))]
    return [WaitingCalls(*row) for row in rows if row[4] is not None]


def errors_of_waiting(session: Session, providers: Sequence[str]) -> dict[str, list[ErrorRow]]:
    """Return by provider the errors that calls met which now wait, of the newest ones."""
    query = (
        select(Job.provider, Job.id, Call.ended_at, Call.error, Job.resource)
        .join(Call, Call.job_id == Job.id)
        .where(
            job_is_live(), live_call(CallState.PLANNED, CallState.QUEUED), Call.error.is_not(None)
        )
    )
    found: defaultdict[str, list[ErrorRow]] = defaultdict(list)
    for row in _newest(session, query, Job.provider, Call.id, providers):
        found[row[0]].append(ErrorRow(*row))
    return found


def _newest(
    session: Session,
    query: Select[Any],
    provider: InstrumentedAttribute[str],
    order: InstrumentedAttribute[Any],
    providers: Sequence[str],
) -> Iterable[Any]:
    """Return the newest `SAMPLE` rows of each provider, newest first."""
    query = query.where(among(provider, providers))
    if len(providers) == 1:  # by the index, however many there are
        return session.execute(query.order_by(order.desc()).limit(SAMPLE))
    place = func.row_number().over(partition_by=provider, order_by=order.desc()).label("place")
    ranked = query.add_columns(place).subquery().c
    return session.execute(
        select(*list(ranked)[:-1]).where(ranked.place <= SAMPLE).order_by(ranked.place)
    )


def running(session: Session) -> list[RunningAttempt]:
    """Return the calls under way, oldest first."""
    query = (
        select(Call.id, Call.provider, Call.started_at)
        .where(is_in(Call.state, CallState.RUNNING))
        .order_by(Call.started_at)
    )
    return [
        RunningAttempt(call, provider, started)
        for call, provider, started in session.execute(query)
        if started is not None
    ]


def among(
    column: InstrumentedAttribute[str], providers: Sequence[str] | None
) -> ColumnElement[bool]:
    """Return the condition that a column names one of the providers; None are all."""
    if providers is None:
        return true()
    return column == providers[0] if len(providers) == 1 else column.in_(providers)


def ping(session: Session) -> None:
    """Make one round trip to the database."""
    session.execute(select(1))
