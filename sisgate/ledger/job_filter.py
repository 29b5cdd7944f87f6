"""Jobs by a filter: a page of them, how many there are, and the ids of all."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from sisgate.domain.job_filter import JobFilter
from sisgate.domain.states import LIVE_JOB_STATES, UNSUCCESSFUL_JOB_STATES
from sisgate.ledger.deletions import waits_for_approval
from sisgate.ledger.job_search import begins, whose
from sisgate.ledger.schema import Job
from sisgate.ledger.states import is_in, is_still

Places = Sequence[tuple[str, str]]
After = tuple[datetime, str] | None
"""The time and the id of the last job that is known already."""


def matching(
    session: Session, wanted: JobFilter, *, app: str | None, places: Places, after: After,
    limit: int,
) -> Sequence[Job]:  # fmt: skip
    """Return the newest jobs that match, in certain places and of an app, newest first."""
    query = select(Job).where(*_conditions(session, wanted), *whose(None, app, places))
    if after is not None:
        at, job_id = after
        behind = (Job.accepted_at < at) | ((Job.accepted_at == at) & (Job.id > job_id))
        query = query.where(Job.accepted_at <= at, behind)
    return session.scalars(query.order_by(Job.accepted_at.desc(), Job.id).limit(limit)).all()


class JobGroup(NamedTuple):
    """What jobs have in common that decides what may be done to them."""

    state: str
    app: str
    provider: str
    resource: str | None


def count_matching(
    session: Session, wanted: JobFilter, *, app: str | None, places: Places, most: int
) -> Counter[JobGroup]:
    """Return how many jobs match, counting no more than `most`."""
    columns = [getattr(Job, name) for name in JobGroup._fields]
    some = (
        select(*columns).where(*_conditions(session, wanted), *whose(None, app, places)).limit(most)
    )
    found = some.subquery()
    counts: Counter[JobGroup] = Counter()
    for *group, number in session.execute(select(*found.c, func.count()).group_by(*found.c)):
        counts[JobGroup(*group)] = number
    return counts


def _conditions(
    session: Session, wanted: JobFilter
) -> Iterator[ColumnElement[bool] | InstrumentedAttribute[bool]]:
    yield from _of_states(wanted)
    for column, value in (
        (Job.provider, wanted.provider), (Job.resource, wanted.resource), (Job.app, wanted.app),
        (Job.kind, wanted.kind), (Job.priority, wanted.priority),
    ):  # fmt: skip
        if value is not None:
            yield column == value
    if wanted.error is not None:
        yield Job.error["code"].as_string() == wanted.error
    if wanted.since is not None:
        yield Job.accepted_at >= wanted.since
    if wanted.until is not None:
        yield Job.accepted_at < wanted.until
    if wanted.beginning is not None:
        yield begins(session, wanted.beginning)
    if wanted.dead:
        yield Job.dead  # as its index has it
    if wanted.dead or wanted.unretried:
        yield Job.retried_as.is_(None)
    if wanted.unapproved:
        yield waits_for_approval()


def _of_states(wanted: JobFilter) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions on states, with that of an index: few jobs are live or unsuccessful."""
    states = set(wanted.states)
    if wanted.dead:
        yield is_still(Job.state, *states) if states else Job.state.is_not(None)
        return
    if not states and wanted.error is not None:
        yield is_in(Job.state, *UNSUCCESSFUL_JOB_STATES)
    for indexed in (LIVE_JOB_STATES, UNSUCCESSFUL_JOB_STATES):
        if states and states <= set(indexed):
            yield is_in(Job.state, *indexed)
            yield is_in(Job.state, *sorted(states))  # the index of the set is by state
            return
    if states:
        yield is_still(Job.state, *sorted(states))
