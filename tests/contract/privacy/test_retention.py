"""What is over goes, in batches, and nothing else; a reader who lags behind is told."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from sisgate.domain.rates import Rate
from sisgate.domain.states import CallState, JobState
from sisgate.errors import CursorTooOld
from sisgate.ledger import audit_log, calls, controls, datasets, expiry, jobs, records
from sisgate.ledger.database import Database
from sisgate.ledger.schema import (
    Alert,
    AlertMessage,
    AlertSilence,
    Attempt,
    Base,
    Call,
    Change,
    Dataset,
    ErrorCount,
    ErrorPattern,
    Job,
    ListingRow,
    Record,
    Response,
)
from sisgate.privacy.retention import Retention, Rule
from sisgate.settings import Settings
from sisgate.settings.fleet import RetentionConfig
from testbed.clock import ManualClock
from tests.contract.ledger.rows import LEASE, NOW, delete_marked, queued, row, write

Make = Callable[..., Retention]


@pytest.fixture
def clock() -> ManualClock:
    """It begins when the rows are written."""
    return ManualClock(NOW)


@pytest.fixture
def retention(database: Database, clock: ManualClock, tmp_path: Path) -> Make:
    """Return the retention of some settings."""

    def made(**keep: timedelta | None) -> Retention:
        kept = {"jobs": None, "changes": None, "deleted_records": None, **keep}
        settings = Settings(data_dir=tmp_path, retention=RetentionConfig(**kept))
        return Retention(database, settings, clock)

    return made


def count(database: Database, table: type[Base]) -> int:
    """How many rows a table has."""
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def ended_job(database: Database, pages: int, at: datetime = NOW, **words: Any) -> str:
    """A job that has ended with all its calls, each with an attempt, a listing and an answer."""
    job_id, ids = queued(database, pages, **words)
    begun = {"provider": "lincoln", "number": 1, "started_at": at, "lease_until": at + LEASE}
    with database.write() as session:
        session.execute(insert(Attempt), [{"call_id": call_id, **begun} for call_id in ids])
        done = update(Call).where(Call.job_id == job_id).values(state=CallState.DONE.value)
        session.execute(done)
        session.add(ListingRow(job_id=job_id, name="students", plan={}))
        answer = Response(job_id=job_id, status=200, headers={}, sealed_body=b"x", delete_after=at)
        session.merge(answer)
        jobs.end(session, jobs.get(session, job_id), JobState.DONE, at)
    return job_id


def rows_of(swept: list[Any]) -> Counter[str]:
    """All that was deleted."""
    return sum((one.rows for one in swept), Counter())


def test_an_old_job_goes_with_all_that_is_its_own(
    database: Database, clock: ManualClock, retention: Make
) -> None:
    """A young one stays whole, and so does one that has not ended."""
    ended_job(database, expiry.BATCH * 2 + 3)
    queued(database, 2)
    clock.advance(timedelta(days=89).total_seconds())
    young = ended_job(database, 2, clock.now())
    clock.advance(timedelta(days=2).total_seconds())
    work = retention(jobs=timedelta(days=90))
    (told,) = [one.rows for one in work.preview() if one.rule.name == "jobs"]
    assert told == {"jobs": 1, "calls": expiry.BATCH * 2 + 3}
    done = rows_of(work.run(actor="test", only=lambda rule: rule.name == "jobs"))
    assert done == told
    assert [count(database, t) for t in (Job, Call, Attempt, ListingRow, Response)] == [
        2, 4, 2, 1, 1,
    ]  # fmt: skip
    with database.read() as session:
        assert jobs.get(session, young).state == JobState.DONE
        (event, *_) = audit_log.tail(session)
    assert (event.action, event.subject) == ("privacy:jobs:expire", "jobs")


def test_what_a_limiter_is_rebuilt_from_is_kept_however_short_the_setting(
    database: Database, clock: ManualClock, retention: Make
) -> None:
    """A limit of a day, set at run time, keeps jobs for a day and more."""
    with database.write() as session:
        control = controls.lock(session, "lincoln", NOW)
        control.windows = controls.stored((Rate.parse("1000/d"),))
    ended_job(database, 2)
    work = retention(jobs=timedelta(hours=1))
    clock.advance(timedelta(hours=24, minutes=30).total_seconds())
    work.run(actor="test")
    assert count(database, Attempt) == 2
    clock.advance(3600)
    work.run(actor="test")
    assert count(database, Attempt) == 0


def test_a_job_is_kept_while_a_call_of_it_is_under_way(
    database: Database, clock: ManualClock, retention: Make
) -> None:
    """It was cancelled, but a worker still has its outcome to write."""
    job_id, ids = queued(database, 1)
    with database.write() as session:
        assert calls.claim(session, ids[0], NOW, LEASE)
        jobs.cancel(session, job_id, NOW)
    clock.advance(timedelta(days=365).total_seconds())
    retention(jobs=timedelta(days=1)).run(actor="test")
    assert count(database, Job) == 1


def test_a_cursor_below_the_horizon_is_told_and_one_above_reads_on(
    database: Database, clock: ManualClock, retention: Make
) -> None:
    """Numbers go on; nobody misses a change silently."""
    write(database, [row(f"a{n}") for n in range(expiry.BATCH + 10)])
    clock.advance(timedelta(days=10).total_seconds())
    write(database, [row("late"), row("later")], now=clock.now())
    clock.advance(timedelta(days=355).total_seconds())
    work = retention(changes=timedelta(days=360))
    assert rows_of(work.preview())["changes"] == expiry.BATCH + 10
    work.run(actor="test")
    horizon = expiry.BATCH + 10
    read = [
        c.sequence for c in records.stream_changes(database, "lincoln", "students", since=horizon)
    ]
    assert read == [horizon + 1, horizon + 2]
    for since in (0, horizon - 1):
        with pytest.raises(CursorTooOld, match="read all records again") as too_old:
            list(records.stream_changes(database, "lincoln", "students", since=since))
        assert too_old.value.detail["newest"] == horizon + 2
    write(database, [row("next")], now=clock.now())
    with database.read() as session:
        assert datasets.newest_change(session, "lincoln", "students") == horizon + 3
        assert session.get_one(Dataset, ("lincoln", "students")).change_horizon == horizon


def test_a_reader_who_is_overtaken_while_reading_is_told(
    database: Database, clock: ManualClock, retention: Make
) -> None:
    """The stream ends with the error instead of a gap."""
    write(database, [row(f"a{n:05}") for n in range(records.STREAM_CHUNK + 5)])
    clock.advance(timedelta(days=2).total_seconds())
    stream = records.stream_changes(database, "lincoln", "students")
    assert next(stream).sequence == 1
    retention(changes=timedelta(days=1)).run(actor="test")
    with pytest.raises(CursorTooOld):
        list(stream)


def test_records_deleted_long_ago_go_and_their_changes_stay_readable(
    database: Database, clock: ManualClock, retention: Make
) -> None:
    """A record that is there is never touched."""
    write(database, [row("stays"), row("goes"), row("gone-lately")])
    write(database, [row("goes", status="tobedeleted")])
    delete_marked(database)
    clock.advance(timedelta(days=366).total_seconds())
    write(database, [row("gone-lately", status="tobedeleted")], now=clock.now())
    delete_marked(database, now=clock.now())
    retention(deleted_records=timedelta(days=365)).run(actor="test")
    with database.read() as session:
        kept = set(session.scalars(select(Record.sourced_id)))
    assert kept == {"stays", "gone-lately"}
    feed = list(records.stream_changes(database, "lincoln", "students"))
    assert [c.data for c in feed if c.sourced_id == "goes"] == [None, None]
    assert count(database, Change) == 5


def test_originals_are_emptied_and_the_records_stay_the_same(
    database: Database, clock: ManualClock, retention: Make
) -> None:
    """A sync that brings the same again makes no change of it."""
    old = [row(f"a{n:04}") for n in range(expiry.BATCH + 1)]
    write(database, old)
    clock.advance(timedelta(days=31).total_seconds())
    write(database, [row("new")], now=clock.now())
    work = retention(originals=timedelta(days=30))
    assert rows_of(work.preview()) == {"originals": expiry.BATCH + 1}
    assert rows_of(work.run(actor="test")) == {"originals": expiry.BATCH + 1}
    assert rows_of(work.run(actor="test")) == {}
    with database.read() as session:
        full = session.scalars(select(Record).where(Record.original != {})).all()
    assert [record.sourced_id for record in full] == ["new"]
    assert write(database, old, now=clock.now()).unchanged == expiry.BATCH + 1


def test_a_run_that_is_stopped_keeps_what_it_did_and_goes_on_next_time(
    database: Database, clock: ManualClock, retention: Make
) -> None:
    """By Ctrl-C between two batches, and by its time being over."""
    for _ in range(3):
        ended_job(database, expiry.BATCH)
    clock.advance(timedelta(days=91).total_seconds())
    work = retention(jobs=timedelta(days=90))

    def is_jobs(rule: Rule) -> bool:
        return rule.name == "jobs"

    def stop(_rule: Rule, _rows: Counter[str]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work.run(actor="test", only=is_jobs, on_batch=stop)
    assert count(database, Call) == expiry.BATCH * 2
    with database.read() as session:
        assert (audit_log.tail(session)[0].detail or {})["rows"] == {"calls": expiry.BATCH}
    (swept,) = work.run(actor="test", only=is_jobs, seconds=0.0)
    assert not swept.finished
    (swept,) = work.run(actor="test", only=is_jobs)
    assert swept.finished
    assert count(database, Call) == count(database, Job) == 0


def test_alerts_and_errors_that_are_long_over_go(
    database: Database, clock: ManualClock, retention: Make
) -> None:
    """With what was sent of them; an alert that still fires stays, however old."""
    old, new = clock.now(), clock.now() + timedelta(days=20)
    with database.write() as session:
        for number, (state, at) in enumerate(
            (("resolved", old), ("firing", old), ("resolved", new))
        ):
            session.add(
                Alert(
                    id=f"al_{number}", rule="r", subject=f"s{number}", state=state, severity="info",
                    cause="c", culprit="c", message="m", remedy="r", evidence={}, since=at,
                    seen_at=at, changed_at=at,
                )
            )  # fmt: skip
        for at in (old, new):
            name = str(at)[:10]
            session.add(
                AlertMessage(
                    channel="c", title="t", body="b", severity="info", alerts=[], created_at=at,
                    state="sent", not_before=at,
                )
            )  # fmt: skip
            session.add(AlertSilence(id=name, rule="r", until=at, set_by="a", created_at=at))
            session.add(
                ErrorPattern(
                    id=name, provider="p", endpoint="e", code="c", message="m", count=1,
                    first_seen=at, last_seen=at, state="open",
                )
            )  # fmt: skip
            session.flush()
            session.add(ErrorCount(pattern_id=name, begin=at, count=1))
    clock.advance(timedelta(days=31).total_seconds())
    done = rows_of(retention(usage=timedelta(days=30)).run(actor="test"))
    gone = {"alerts": 1, "alert_messages": 1, "alert_silences": 1, "error_patterns": 1}
    assert {name: done[name] for name in gone} == gone
    tables = (Alert, AlertMessage, AlertSilence, ErrorPattern, ErrorCount)
    assert [count(database, table) for table in tables] == [2, 1, 1, 1, 1]


def test_what_is_kept_for_ever_is_not_looked_at(
    database: Database, clock: ManualClock, retention: Make
) -> None:
    """None is for ever; answers have a time of their own."""
    ended_job(database, 1)
    write(database, [row("a")])
    clock.advance(timedelta(days=10_000).total_seconds())
    assert rows_of(retention().run(actor="test")) == {"responses": 1}
    assert count(database, Job) == count(database, Change) == 1
