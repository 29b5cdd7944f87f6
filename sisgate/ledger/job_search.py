"""Which jobs there are: by id, by owner and place, of a schedule, given up, or to be planned."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, false, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from sisgate.domain.states import (
    LIVE_JOB_STATES,
    UNSUCCESSFUL_JOB_STATES,
    CallState,
    JobKind,
    JobState,
)
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Call, Dataset, Job, Response
from sisgate.ledger.statements import is_postgresql
from sisgate.ledger.states import is_in, is_still, job_is_live

IDS_AT_ONCE = 1000
"""Ids in one statement, whose parameters databases limit."""


def of_ids(session: Session, job_ids: Sequence[str]) -> dict[str, Job]:
    """Return the jobs that there are, by id, as they are now."""
    if not job_ids:
        return {}
    query = select(Job).where(Job.id.in_(job_ids)).execution_options(populate_existing=True)
    return {job.id: job for job in session.scalars(query)}


def of_call(session: Session, call_id: int) -> str | None:
    """Return the id of the job that a call is of; None if there is no such call."""
    return session.scalar(select(Call.job_id).where(Call.id == call_id))


def live_among(session: Session, job_ids: Sequence[str]) -> set[str]:
    """Return which jobs have not ended, of any number of ids."""
    live: set[str] = set()
    is_live = is_still(Job.state, *LIVE_JOB_STATES)
    for begin in range(0, len(job_ids), IDS_AT_ONCE):
        some = job_ids[begin : begin + IDS_AT_ONCE]
        live |= set(session.scalars(select(Job.id).where(Job.id.in_(some), is_live)))
    return live


def ids_beginning(
    session: Session,
    beginning: str,
    *,
    app: str | None,
    places: Sequence[tuple[str, str]],
    limit: int,
) -> Sequence[str]:
    """Return the first ids that begin so, of jobs of an app and in places as with `find`."""
    query = select(Job.id).where(begins(session, beginning), *whose(None, app, places))
    return session.scalars(query.order_by(Job.id).limit(limit)).all()


def begins(session: Session, beginning: str) -> ColumnElement[bool]:
    """Return the condition of jobs whose ids begin so, which the key's index serves.

    SQLite's LIKE, which is not case-sensitive, has no use for it, so there it is a range as well.
    PostgreSQL has one where the database sorts as C does; elsewhere it scans.
    """
    alike = Job.id.startswith(beginning, autoescape=True)
    if is_postgresql(session):
        return alike
    return alike & Job.id.between(beginning, f"{beginning}\U0010ffff")


def find(
    database: Database,
    *,
    states: Sequence[JobState] = (),
    provider: str | None = None,
    resource: str | None = None,
    app: str | None = None,
    places: Sequence[tuple[str, str]] | None = None,
    after: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[Job]:
    """Return the newest jobs that fit, newest first.

    `places` are pairs of provider and resource in one of which a job must be; `*` is any. `after`
    is the time and the id of the last job that is known already.
    """
    query = select(Job).order_by(Job.accepted_at.desc(), Job.id).limit(limit)
    if states:
        query = query.where(Job.state.in_(states))
    for indexed in (LIVE_JOB_STATES, UNSUCCESSFUL_JOB_STATES):
        if states and set(states) <= set(indexed):
            query = query.where(is_in(Job.state, *indexed))
    if resource:
        query = query.where(Job.resource == resource)
    if after is not None:
        at, job_id = after
        behind = (Job.accepted_at < at) | ((Job.accepted_at == at) & (Job.id > job_id))
        query = query.where(Job.accepted_at <= at, behind)
    query = query.where(*whose(provider, app, places))
    with database.read() as session:
        return list(session.scalars(query))


@dataclass(frozen=True)
class DeadJob:
    """A job that was given up, with what it cost: the most of any of its failed calls."""

    job: Job
    tries: int
    lost_workers: int


def find_dead(
    database: Database,
    *,
    provider: str | None = None,
    app: str | None = None,
    error: str | None = None,
    since: datetime | None = None,
    places: Sequence[tuple[str, str]] | None = None,
    limit: int | None = None,
) -> list[DeadJob]:
    """Return what was given up and not tried again, the oldest first.

    `error` is the code of its error, `since` when it was given up at the earliest. None for all.
    """
    query = (
        select(Job, _most_of_failed(Call.tries), _most_of_failed(Call.lost_workers))
        .where(Job.dead, Job.retried_as.is_(None), *whose(provider, app, places))
        .order_by(Job.ended_at, Job.id)
        .limit(limit)
    )
    if error is not None:
        query = query.where(Job.error["code"].as_string() == error)
    if since is not None:
        query = query.where(Job.ended_at >= since)
    with database.read() as session:
        return [DeadJob(*row) for row in session.execute(query)]


def _most_of_failed(column: InstrumentedAttribute[int]) -> ColumnElement[int]:
    """Return the most of any failed call of a job, asked of the jobs that are returned only."""
    failed = (Call.job_id == Job.id) & (Call.state == CallState.FAILED)
    return select(func.coalesce(func.max(column), 0)).where(failed).scalar_subquery()


def whose(
    provider: str | None, app: str | None, places: Sequence[tuple[str, str]] | None
) -> list[ColumnElement[bool]]:
    """Return the conditions of jobs of a provider, of an app, and in certain places."""
    found: list[ColumnElement[bool]] = []
    if provider:
        found.append(Job.provider == provider)
    if app:
        found.append(Job.app == app)
    if places is not None:
        found.append(is_among(Job, places))
    return found


def is_among(table: type[Job | Dataset], places: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    """Whether a job or dataset is in one of some places; `*` is any provider, or any resource."""

    def is_at(provider: str, resource: str) -> ColumnElement[bool]:
        same_provider = true() if provider == "*" else table.provider == provider
        return same_provider & (true() if resource == "*" else table.resource == resource)

    return true() if ("*", "*") in places else or_(false(), *(is_at(*each) for each in places))


def app_of(schedule: str) -> str:
    """Return the app that a schedule's jobs are of."""
    return f"schedule/{schedule}"


def schedule_of(app: str) -> str | None:
    """Return the schedule that a job's app is; None for any other.

    >>> schedule_of(app_of("nightly")), schedule_of("portal")
    ('nightly', None)
    """
    kind, slash, name = app.partition("/")
    return name if slash and kind == "schedule" else None


Place = tuple[str, str]
"""A provider and one of its resources."""


def taken_by(session: Session, schedule: str, keys: Collection[str]) -> frozenset[Place]:
    """Return the places whose scheduled job has one of the keys."""
    of_schedule = select(Job.provider, Job.resource).where(Job.app == app_of(schedule))
    keyed = session.execute(of_schedule.where(Job.idempotency_key.in_(keys)))
    return frozenset((provider, resource) for provider, resource in keyed if resource)


def live_of(session: Session, schedule: str) -> frozenset[Place]:
    """Return the places whose scheduled job has not ended."""
    of_schedule = select(Job.provider, Job.resource).where(Job.app == app_of(schedule))
    live = session.execute(of_schedule.where(job_is_live()))
    return frozenset((provider, resource) for provider, resource in live if resource)


def newest_of(session: Session, schedule: str, limit: int) -> Sequence[Job]:
    """Return the newest jobs of a schedule, newest first."""
    query = select(Job).where(Job.app == app_of(schedule))
    return session.scalars(query.order_by(Job.accepted_at.desc(), Job.id).limit(limit)).all()


def last_good_response(
    session: Session,
    asked: Sequence[str],
    now: datetime,
    *,
    app: str | None,
    since: datetime | None = None,
) -> Response | None:
    """Return the newest good response to the same question that is kept, or None.

    `asked` are the marks that the question may have been stored with. It was asked by `app`, or by
    any app if that is None, and stored `since` then.
    """
    whose = true() if app is None else Job.app == app
    recent = true() if since is None else Response.stored_at >= since
    return session.scalar(
        select(Response)
        .join(Job, Job.id == Response.job_id)
        .where(
            whose,
            recent,
            Response.asked.in_(asked),
            Response.status < 300,
            Response.stored_at.is_not(None),
            Response.delete_after > now,
        )
        .order_by(Response.stored_at.desc())
        .limit(1)
    )


def running_beside(session: Session, job: Job) -> int:
    """Return how many syncs of the same app, provider and priority run, this one included."""
    running = session.scalar(
        select(func.count())
        .select_from(Job)
        .where(
            Job.provider == job.provider,
            Job.state == JobState.RUNNING,
            Job.kind == JobKind.SYNC,
            Job.app == job.app,
            Job.priority == job.priority,
        )
    )
    return max(1, running or 0)


def unplanned(
    session: Session, now: datetime, unpublished: timedelta, overdue: timedelta, limit: int = 500
) -> list[Job]:
    """Return accepted jobs that have waited too long to be planned, the most urgent first.

    `unpublished` after their acceptance if their plan message was never published, else `overdue`
    after it was.
    """
    return list(
        session.scalars(
            select(Job)
            .where(
                is_in(Job.state, JobState.ACCEPTED),
                (Job.published_at.is_(None) & (Job.accepted_at < now - unpublished))
                | (Job.published_at < now - overdue),
            )
            .order_by(Job.priority, Job.accepted_at)
            .limit(limit)
        )
    )
