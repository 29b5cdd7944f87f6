"""Deleting what is too old, in batches: each is a short transaction of its own.

A deletion may be stopped between batches and begun again; two at once do each row once.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, inspect, select, tuple_, update
from sqlalchemy.orm import Session

from sisgate.domain.alert_states import AlertState
from sisgate.domain.periods import Period
from sisgate.domain.states import FINAL_JOB_STATES, CallState
from sisgate.ledger import deletions
from sisgate.ledger.database import Database
from sisgate.ledger.rollups import HOURS_KEPT, MINUTES_KEPT
from sisgate.ledger.schema import (
    Alert,
    AlertMessage,
    AlertSilence,
    Base,
    BreakerChange,
    Call,
    Change,
    Dataset,
    ErrorPattern,
    Job,
    Record,
    Response,
    Rollup,
    UsageHour,
    WebhookMessage,
)
from sisgate.ledger.statements import change, count
from sisgate.ledger.states import live_call

BATCH = 500
"""Rows of a batch: a writer that waits for it waits for some hundredths of a second."""

JOBS_AT_ONCE = 50

Batches = Iterator[Counter[str]]


@dataclass(frozen=True)
class Expiry:
    """Deletion of one kind of thing that is from before a time.

    `count` returns what `delete` would delete, which yields what each batch did, by table.
    """

    count: Callable[[Session, datetime], Counter[str]]
    delete: Callable[[Database, datetime], Batches]


def _rows_of(
    table: type[Base], is_old: Callable[[datetime], ColumnElement[bool]], name: str
) -> Expiry:
    key = inspect(table).primary_key

    def count_old(session: Session, before: datetime) -> Counter[str]:
        return Counter({name: count(session, select(*key).where(is_old(before)))})

    def delete_old(database: Database, before: datetime) -> Batches:
        chosen = select(*key).where(is_old(before)).limit(BATCH)
        gone = BATCH
        while gone == BATCH:
            with database.write() as session:
                # Asked again of the row itself: it may have changed while its lock was waited for.
                old = delete(table).where(tuple_(*key).in_(chosen), is_old(before))
                gone = change(session, old)
            yield Counter({name: gone})

    return Expiry(count_old, delete_old)


RESPONSES = _rows_of(Response, lambda now: Response.delete_after <= now, "responses")
"""Responses of requests. Each carries its own time, which "before" is compared with."""


def _together(*kinds: Expiry) -> Expiry:
    def count_old(session: Session, before: datetime) -> Counter[str]:
        return sum((kind.count(session, before) for kind in kinds), Counter())

    def delete_old(database: Database, before: datetime) -> Batches:
        for kind in kinds:
            yield from kind.delete(database, before)

    return Expiry(count_old, delete_old)


def _rollups(period: Period) -> Expiry:
    def is_old(before: datetime) -> ColumnElement[bool]:
        return (Rollup.period == period.value) & (Rollup.begin < before)

    return _rows_of(Rollup, is_old, "rollups")


USAGE = _together(
    _rows_of(UsageHour, lambda before: UsageHour.hour < before, "usage_hours"),
    _rollups(Period.DAY),
    _rows_of(BreakerChange, lambda before: BreakerChange.at < before, "breaker_changes"),
    _rows_of(
        Alert,
        lambda before: (Alert.state == AlertState.RESOLVED) & (Alert.changed_at < before),
        "alerts",
    ),
    _rows_of(AlertMessage, lambda before: AlertMessage.created_at < before, "alert_messages"),
    _rows_of(AlertSilence, lambda before: AlertSilence.until < before, "alert_silences"),
    _rows_of(ErrorPattern, lambda before: ErrorPattern.last_seen < before, "error_patterns"),
)
"""How much apps used, what became of calls by the day, changes of breakers, alerts, and errors."""


def expire_finer_rollups(database: Database, now: datetime) -> None:
    """Delete the rollups of minutes and hours that are summed up by the day."""
    for period, kept in ((Period.MINUTE, MINUTES_KEPT), (Period.HOUR, HOURS_KEPT)):
        for _ in _rollups(period).delete(database, now - kept):
            pass


WEBHOOK_EVENTS = _rows_of(
    WebhookMessage, lambda before: WebhookMessage.created_at < before, "webhook_messages"
)
"""Events of webhooks with their attempts, whatever became of them."""

RECORDS = _rows_of(Record, lambda before: Record.deleted_at < before, "records")
"""Records that the provider has deleted."""


def _ended(before: datetime) -> Select[Any]:
    # A call under way when its job was cancelled still has its outcome to write.
    running = select(Call.id).where(Call.job_id == Job.id, live_call(CallState.RUNNING))
    return select(Job.id).where(
        Job.ended_at < before, Job.state.in_(FINAL_JOB_STATES), ~running.exists()
    )


def _count_jobs(session: Session, before: datetime) -> Counter[str]:
    ended = _ended(before)
    calls = select(Call.id).where(Call.job_id.in_(ended))
    return Counter(jobs=count(session, ended), calls=count(session, calls))


def _delete_jobs(database: Database, before: datetime) -> Batches:
    ids = _ended(before).order_by(Job.ended_at).limit(JOBS_AT_ONCE)
    while True:
        with database.write() as session:
            chosen = list(session.scalars(ids))
            # A large sync has thousands of calls; they go first, so that no batch is large.
            some = select(Call.id).where(Call.job_id.in_(chosen)).limit(BATCH)
            calls = change(session, delete(Call).where(Call.id.in_(some)))
            jobs = 0
            if calls < BATCH:
                jobs = change(session, delete(Job).where(Job.id.in_(chosen)))
                deletions.forget(session, *chosen)
        yield Counter(jobs=jobs, calls=calls)
        if len(chosen) < JOBS_AT_ONCE and calls < BATCH:
            return


JOBS = Expiry(_count_jobs, _delete_jobs)
"""Jobs that ended before a time, with their calls, attempts and listings.

The caller sees to it that no attempt of theirs is needed to rebuild a limiter.
"""


def _count_changes(session: Session, before: datetime) -> Counter[str]:
    # As far as numbers and times go up together.
    old = select(Change.sequence).where(Change.changed_at < before)
    return Counter(changes=count(session, old))


def _delete_changes(database: Database, before: datetime) -> Batches:
    with database.read() as session:
        datasets = session.execute(select(Dataset.provider, Dataset.resource)).all()
    for provider, resource in datasets:
        gone = BATCH
        while gone == BATCH:
            with database.write() as session:
                gone = _delete_changes_of(session, provider, resource, before)
            yield Counter(changes=gone)


def _delete_changes_of(session: Session, provider: str, resource: str, before: datetime) -> int:
    here = (Change.provider == provider, Change.resource == resource)
    oldest = (
        select(Change.sequence, Change.changed_at)
        .where(*here)
        .order_by(Change.sequence)
        .limit(BATCH)
    )
    horizon = None
    for sequence, changed_at in session.execute(oldest):
        if changed_at >= before:
            break
        horizon = sequence
    if horizon is None:
        return 0
    is_lower = (
        Dataset.provider == provider,
        Dataset.resource == resource,
        Dataset.change_horizon < horizon,
    )
    change(session, update(Dataset).where(*is_lower).values(change_horizon=horizon))
    return change(session, delete(Change).where(*here, Change.sequence <= horizon))


CHANGES = Expiry(_count_changes, _delete_changes)
"""Each dataset's changes from its first up to the last one made before a time.

The dataset keeps the number of the last one that is gone, its horizon: who reads from below it is
told so.
"""


def _is_old_original(before: datetime) -> ColumnElement[bool]:
    return (Record.changed_at < before) & (Record.original != {})


def _count_originals(session: Session, before: datetime) -> Counter[str]:
    return Counter(
        originals=count(session, select(Record.sourced_id).where(_is_old_original(before)))
    )


def _empty_originals(database: Database, before: datetime) -> Batches:
    key = tuple_(Record.provider, Record.resource, Record.sourced_id)
    last: tuple[str, ...] = ("", "", "")
    while True:
        some = select(*key.clauses).where(key > last, _is_old_original(before))
        with database.write() as session:
            chosen = [
                tuple(row) for row in session.execute(some.order_by(*key.clauses).limit(BATCH))
            ]
            # Asked again: on PostgreSQL a sync may have written it anew between the two.
            old = update(Record).where(key.in_(chosen), _is_old_original(before))
            rows = change(session, old.values(original={})) if chosen else 0
        yield Counter(originals=rows)
        if len(chosen) < BATCH:
            return
        last = chosen[-1]


ORIGINALS = Expiry(_count_originals, _empty_originals)
"""The provider's own form of records that last changed before a time; it is emptied.

Goes through all records by their key, once.
"""
