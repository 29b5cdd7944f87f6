"""Rollups in the ledger: adding calls to their periods, and reading what is summed up.

All periods that a call belongs to are written with it, so each can be read by itself, at any time.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, inspect, select, update
from sqlalchemy.orm import Session, aliased

from sisgate.domain.call_results import CallResult, CallTally
from sisgate.domain.latencies import LatencySketch
from sisgate.domain.periods import Period, covering
from sisgate.ledger.schema import Rollup, RollupProgress
from sisgate.ledger.statements import change, insert_into

MINUTES_KEPT = timedelta(hours=6)
HOURS_KEPT = timedelta(days=40)
"""How long minutes and hours are kept; days are as `retention.usage` says."""

CALLS = "calls"
"""The name of the progress."""

_COLUMN_OF = {"queue": "queue", "permit": "permit", "ledger": "ledger", "provider": "latency"}
"""The column of each stage's latencies."""

_SOME_PROVIDERS = 200


class TallyKey(NamedTuple):
    """What calls have in common that are counted together within a period."""

    provider: str
    endpoint: str
    result: CallResult
    priority: int
    resource: str


Moment = tuple[datetime, TallyKey]
Tallies = Mapping[Moment, CallTally]
"""Tallies by minute and what is counted together."""


def progress(session: Session) -> RollupProgress | None:
    """Return how far calls are counted, None if none ever were."""
    return session.get(RollupProgress, CALLS)


def advance(session: Session, *, was: int, seal: int, counted_to: datetime) -> bool:
    """Note that calls are counted through a seal; False if another one has counted meanwhile.

    What is counted belongs into the same transaction. After False the caller rolls back.
    """
    if was == 0:
        first = insert_into(session, RollupProgress).values(name=CALLS, seal=0)
        session.execute(first.on_conflict_do_nothing())
    mine = update(RollupProgress).where(RollupProgress.name == CALLS, RollupProgress.seal == was)
    return change(session, mine.values(seal=seal, counted_to=counted_to)) == 1


def add(session: Session, tallies: Tallies) -> None:
    """Add calls to the minutes, hours and days that they belong to, and to those of ever.

    Only for who has advanced the progress in this transaction: nobody else writes then.
    """
    for period in Period:
        merged: dict[Moment, CallTally] = {}
        for (at, counted), tally in tallies.items():
            # Metrics read all of ever at each scrape, and have no label for it.
            key = counted._replace(resource="") if period is Period.EVER else counted
            merged.setdefault((period.begin_of(at), key), CallTally()).merge(tally)
        providers = sorted({key.provider for _, key in merged})
        for start in range(0, len(providers), _SOME_PROVIDERS):
            batch = providers[start : start + _SOME_PROVIDERS]
            of_batch = {key: tally for key, tally in merged.items() if key[1].provider in batch}
            _add_to(session, period, batch, of_batch)


def _add_to(
    session: Session, period: Period, providers: Collection[str], new: dict[Moment, CallTally]
) -> None:
    begins = {begin for begin, _ in new}
    existing = (
        Rollup.period == period.value,
        Rollup.provider.in_(providers),
        Rollup.begin.in_(begins),
    )
    for begin, counted, tally in _read(session, existing):
        if (begin, counted) in new:
            new[begin, counted].merge(tally)
    rows = [_row(period, begin, counted, tally) for (begin, counted), tally in new.items()]
    upsert = insert_into(session, Rollup)
    sums = ("calls", "rows", *_COLUMN_OF.values())
    upsert = upsert.on_conflict_do_update(
        index_elements=inspect(Rollup).primary_key,
        set_={name: upsert.excluded[name] for name in sums},
    )
    session.execute(upsert, rows)


def _row(period: Period, begin: datetime, counted: TallyKey, tally: CallTally) -> dict[str, Any]:
    return {
        "period": period.value, "begin": begin, **counted._asdict(),
        "result": counted.result.value, "calls": tally.calls, "rows": tally.rows,
        **{
            column: tally.latencies[stage].encode() if stage in tally.latencies else None
            for stage, column in _COLUMN_OF.items()
        },
    }  # fmt: skip


def _read(
    session: Session,
    where: Iterable[ColumnElement[bool]],
    stages: Sequence[str] = tuple(_COLUMN_OF),
) -> Iterator[tuple[datetime, TallyKey, CallTally]]:
    """Yield the tallies of rows, with the latencies of these stages only."""
    columns = [getattr(Rollup, name) for name in ("begin", *TallyKey._fields, "calls", "rows")]
    columns += [getattr(Rollup, _COLUMN_OF[stage]) for stage in stages]
    for row in session.execute(select(*columns).where(*where)):
        begin, provider, endpoint, result, priority, resource, calls, rows = row[:8]
        latencies = {
            stage: LatencySketch.decode(sketch)
            for stage, sketch in zip(stages, row[8:], strict=True)
            if sketch is not None
        }
        counted = TallyKey(provider, endpoint, CallResult(result), priority, resource)
        yield begin, counted, CallTally(calls, rows, latencies)


def first(session: Session, provider: str | None = None) -> dict[str, datetime]:
    """Return by provider when its first call was counted, as well as is still known."""
    names = select(Rollup.provider).where(Rollup.period == Period.EVER.value).distinct()
    if provider is not None:
        names = names.where(Rollup.provider == provider)
    name, rollup = names.subquery().c.provider, aliased(Rollup)
    begins = [
        select(func.min(rollup.begin))
        .where(rollup.period == period.value, rollup.provider == name)
        .scalar_subquery()
        for period in (Period.DAY, Period.HOUR, Period.MINUTE)
    ]
    rows = session.execute(select(name, *begins))
    return {each: _finest(day, hour, minute) for each, day, hour, minute in rows if day}


def _finest(day: datetime, hour: datetime | None, minute: datetime | None) -> datetime:
    """Return the first of the shortest periods of which the first is still kept."""
    if hour is None or hour >= day + Period.DAY.length:
        return day
    return hour if minute is None or minute >= hour + Period.HOUR.length else minute


def ever(session: Session, stages: Sequence[str] = ()) -> Iterator[tuple[TallyKey, CallTally]]:
    """Yield all calls since the first one; the numbers never fall."""
    for _, counted, tally in _read(session, (Rollup.period == Period.EVER.value,), stages):
        yield counted, tally


def results(session: Session, since: datetime) -> Iterator[tuple[str, CallResult, int]]:
    """Yield how many calls of each provider had each result, in the hours from `since` on."""
    query = select(Rollup.provider, Rollup.result, func.sum(Rollup.calls))
    query = query.where(Rollup.period == Period.HOUR.value, Rollup.begin >= since)
    for provider, result, calls in session.execute(query.group_by(Rollup.provider, Rollup.result)):
        yield provider, CallResult(result), int(calls)


def between(
    session: Session,
    since: datetime,
    until: datetime,
    now: datetime,
    *,
    provider: str | None = None,
    resource: str | None = None,
    stages: Sequence[str] = (),
) -> Iterator[tuple[datetime, TallyKey, CallTally]]:
    """Yield the calls that ended from `since` on, before `until`, by the periods that cover that.

    Each comes with the beginning of its period. Ends within a minute, or within an hour that is
    older than `MINUTES_KEPT`, are widened. The latencies are those of `stages`.
    """
    for period, begin, end in covering(since, until, now - MINUTES_KEPT + Period.HOUR.length):
        where = [Rollup.period == period.value, Rollup.begin >= begin, Rollup.begin < end]
        if provider is not None:
            where.append(Rollup.provider == provider)
        if resource is not None:
            where.append(Rollup.resource == resource)
        yield from _read(session, where, stages)


def by_period(
    session: Session,
    period: Period,
    since: datetime,
    until: datetime,
    *,
    provider: str | None = None,
    stages: Sequence[str] = (),
) -> Iterator[tuple[datetime, TallyKey, CallTally]]:
    """Yield the calls of each period that begins at `since` or later and before `until`."""
    where = [Rollup.period == period.value, Rollup.begin >= since, Rollup.begin < until]
    if provider is not None:
        where.append(Rollup.provider == provider)
    yield from _read(session, where, stages)
