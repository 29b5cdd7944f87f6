"""Deletions of a sync: noted while its pages come, counted together, and done at its end.

A record is gone by absence (a complete full read has not seen it) or by the provider's own mark
(`tobedeleted`, a dropped enrollment). Whichever it is, nothing is deleted before the whole sync
is known, so that one guard sees them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from sisgate.domain.states import JobState
from sisgate.ledger import page_statements, sightings
from sisgate.ledger.prepared import Prepared, given
from sisgate.ledger.schema import Change, Dataset, Job, MarkedDeletion, Record, Sighting
from sisgate.ledger.statements import change, insert_into
from sisgate.ledger.states import is_still, job_ended_as

_ANY_MARKED = Prepared(lambda _: select(MarkedDeletion.job_id).limit(1))
_MARKING = Prepared(
    lambda _: (
        select(Job.id)
        .where(
            Job.provider == given("provider"),
            Job.resource == given("resource"),
            Job.ended_at.is_(None),  # as its index has it
            exists().where(MarkedDeletion.job_id == Job.id),
        )
        .limit(1)
    )
)
_CHANGE_COLUMNS = (
    "provider", "resource", "sequence", "operation", "sourced_id", "job_id", "changed_at",
)  # fmt: skip


@dataclass(frozen=True)
class Doomed:
    """What a sync would delete: live records, `marked` by the provider, or `absent` from its list.

    One that is both counts as marked. `live` is how many the dataset has, these included.
    """

    live: int
    marked: int
    absent: int = 0

    @property
    def count(self) -> int:
        """How many records would go."""
        return self.marked + self.absent


class Settled(NamedTuple):
    """The sync that has settled a held one, and when that ended."""

    by: str
    at: datetime | None


def waits_for_approval() -> ColumnElement[bool]:
    """Return the condition of held syncs that no later one of the dataset has settled."""
    later = aliased(Job)
    return and_(job_ended_as(JobState.HELD), ~exists().where(_settles(later)))


def settled(session: Session, *held_ids: str) -> dict[str, Settled]:
    """Return what has settled held syncs first, by the id of each that does not wait any more."""
    if not held_ids:
        return {}
    later = aliased(Job)
    first = select(later.id).where(_settles(later)).order_by(later.ended_at).limit(1)
    by = first.correlate(Job).scalar_subquery()
    query = select(Job.id, by).where(Job.id.in_(held_ids), is_still(Job.state, JobState.HELD))
    found = {job_id: by_id for job_id, by_id in session.execute(query) if by_id is not None}
    ends = select(Job.id, Job.ended_at).where(Job.id.in_(set(found.values())))
    ended = {row.id: row.ended_at for row in session.execute(ends)} if found else {}
    return {job_id: Settled(by_id, ended.get(by_id)) for job_id, by_id in found.items()}


def _settles(later: type[Job]) -> ColumnElement[bool]:
    """Return the condition that a later sync has decided on the deletions of a held one.

    What an incremental sync has read says nothing of what a full one found absent.
    """
    return and_(
        later.provider == Job.provider,
        later.resource == Job.resource,
        later.ended_at > Job.ended_at,
        is_still(later.state, JobState.DONE, JobState.HELD),
        or_(later.mode == "full", later.mode == Job.mode),
    )


def mark(session: Session, job_id: str, ids: Sequence[str]) -> None:
    """Note live records that the provider told this job are gone."""
    if ids:
        rows = [{"job_id": job_id, "sourced_id": each} for each in ids]
        session.execute(insert_into(session, MarkedDeletion).on_conflict_do_nothing(), rows)


def unmark(session: Session, dataset: Dataset, job_id: str, ids: Sequence[str]) -> None:
    """Take back what was noted of records that were then found alive, by the same job or another.

    Syncs of a dataset may run side by side, and a record may come back while one has it marked.
    """
    if not ids or not are_any_marked(session):
        return
    page = page_statements.page_of(session, dataset, ids)
    found = MarkedDeletion.sourced_id.in_(select(page.c.sourced_id))
    is_of_dataset = exists().where(
        Job.id == MarkedDeletion.job_id,
        Job.provider == dataset.provider,
        Job.resource == dataset.resource,
    )
    is_ours = or_(MarkedDeletion.job_id == job_id, is_of_dataset)
    session.execute(delete(MarkedDeletion).where(found, is_ours))


def are_any_marked(session: Session) -> bool:
    """Return whether any sync that is under way, or held, has marked a record."""
    return bool(_ANY_MARKED.run(session, {}))


def is_marking(session: Session, dataset: Dataset) -> bool:
    """Return whether a sync of a dataset that is under way has marked a record."""
    place = {"provider": dataset.provider, "resource": dataset.resource}
    return are_any_marked(session) and bool(_MARKING.run(session, place))


def forget(session: Session, *job_ids: str) -> None:
    """Forget the marks of jobs that have ended, or are deleted."""
    change(session, delete(MarkedDeletion).where(MarkedDeletion.job_id.in_(job_ids)))


def forget_held(session: Session, job: Job) -> None:
    """Forget the marks of syncs that were held before: a later one has read the dataset."""
    if are_any_marked(session):
        held = select(Job.id).where(
            Job.provider == job.provider,
            Job.resource == job.resource,
            Job.state == JobState.HELD.value,
            Job.id != job.id,
        )
        change(session, delete(MarkedDeletion).where(MarkedDeletion.job_id.in_(held)))


def rows(
    session: Session,
    dataset: Dataset,
    job_id: str,
    generation: int | None,
    *,
    start: str,
    limit: int,
) -> Sequence[Row[str, bool, datetime, datetime, datetime]]:
    """Return the records that `count` counts, from an id on, in order of sourcedId.

    Each with whether the provider has marked it, and when it was first seen, last seen and changed.
    """
    is_marked = _is_marked(job_id)
    absent = literal(False) if generation is None else sightings.is_unseen(dataset, generation)
    columns = (
        Record.sourced_id, is_marked.label("is_marked"), Record.first_seen,
        sightings.seen_at().label("last_seen"), Record.changed_at,
    )  # fmt: skip
    doomed = (*_live(dataset), or_(is_marked, absent), Record.sourced_id >= start)
    query = select(*columns).where(*doomed).order_by(Record.sourced_id).limit(limit)
    return session.execute(query).all()


def count(session: Session, dataset: Dataset, job_id: str, generation: int | None) -> Doomed:
    """Return what would be deleted: what is marked and, with a generation, what it has not seen.

    Where that is nothing, `live` is not counted either and is 0. The dataset must be locked.
    """
    has_marks = _has_marks(session, job_id)
    if not has_marks and (generation is None or not _is_any_unseen(session, dataset, generation)):
        return Doomed(live=0, marked=0)
    is_marked = _is_marked(job_id) if has_marks else literal(False)
    absent = literal(False) if generation is None else sightings.is_unseen(dataset, generation)
    query = select(
        func.count(), func.count().filter(is_marked), func.count().filter(and_(absent, ~is_marked))
    ).where(*_live(dataset))
    return Doomed(*session.execute(query).one())


def carry_out(
    session: Session, dataset: Dataset, job_id: str, generation: int | None, now: datetime
) -> int:
    """Delete what `count` counted, with a change for each; return how many.

    The caller has proof that they are gone. The dataset must be locked.
    """
    gone = [_is_marked(job_id)]
    if generation is not None:
        gone.append(sightings.is_unseen(dataset, generation))
    doomed = (*_live(dataset), or_(*gone))
    changes = select(
        literal(dataset.provider),
        literal(dataset.resource),
        dataset.last_sequence + func.row_number().over(order_by=Record.sourced_id),
        literal("delete"),
        Record.sourced_id,
        literal(job_id),
        literal(now, Change.changed_at.type),
    ).where(*doomed)
    session.execute(insert(Change).from_select(_CHANGE_COLUMNS, changes))
    left = sightings.counts(session, *doomed)
    last = {"last_seen": sightings.seen_at(), "sighting_id": None}
    gone_now = update(Record).where(*doomed).values(deleted_at=now, changed_at=now, **last)
    gone_rows = change(session, gone_now)
    sightings.leave(session, left)
    dataset.last_sequence += gone_rows
    session.flush()
    return gone_rows


def _is_any_unseen(session: Session, dataset: Dataset, generation: int) -> bool:
    # Few sightings and the records without one: not a look at each record.
    older = select(Sighting.id).where(
        Sighting.provider == dataset.provider,
        Sighting.resource == dataset.resource,
        Sighting.generation < generation,
    )
    alone = select(Record.sourced_id).where(
        *_live(dataset), Record.sighting_id.is_(None), Record.generation < generation
    )
    return any(session.execute(each.limit(1)).first() is not None for each in (older, alone))


def _has_marks(session: Session, job_id: str) -> bool:
    one = select(MarkedDeletion.job_id).where(MarkedDeletion.job_id == job_id).limit(1)
    return session.scalar(one) is not None


def _is_marked(job_id: str) -> Any:
    return exists().where(
        MarkedDeletion.job_id == job_id, MarkedDeletion.sourced_id == Record.sourced_id
    )


def _live(dataset: Dataset) -> tuple[Any, ...]:
    return (
        Record.provider == dataset.provider,
        Record.resource == dataset.resource,
        Record.deleted_at.is_(None),
    )
