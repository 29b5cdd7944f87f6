"""Calls are rolled up by the hour, each hour once, so that the calls themselves may go."""

from datetime import timedelta
from pathlib import Path

import pytest

from sisgate.domain.links import Link
from sisgate.domain.priorities import Priority
from sisgate.ledger import usage
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Attempt, Call, Job, UsageHour
from sisgate.privacy.retention import Retention
from sisgate.settings import Settings
from sisgate.settings.fleet import RetentionConfig
from testbed.clock import ManualClock
from tests.contract.ledger.rows import LEASE, NOW, at_once, planned

HOUR = timedelta(hours=1)
Seen = list[tuple[int, str, str, int, int, int, int]]


def call(
    database: Database,
    hours: float,
    status: int | None,
    *,
    app: str = "a",
    rows: int = 0,
    unsent: Link | None = None,
) -> None:
    """An app's call, begun so many hours after the first hour, whose job has ended."""
    job_id, (call_id,) = planned(database, app=app, priority=Priority.LOW)
    begun = NOW + hours * HOUR
    with database.write() as session:
        found = session.get_one(Call, call_id)
        found.attempt, found.rows = 1, rows or None
        job = session.get_one(Job, job_id)
        job.state, job.ended_at = "done", begun
        found.state = "done"
        session.add(
            Attempt(
                call_id=call_id, number=1, provider="lincoln", started_at=begun,
                lease_until=begun + LEASE, status=status, unsent=unsent,
            )
        )  # fmt: skip


def seen(database: Database, hours: float) -> Seen:
    """What is counted until then: hour, provider, app, calls, throttled, failed, rows."""
    with database.read() as session:
        found = usage.counted(session, NOW - HOUR, NOW + hours * HOUR, None, None, NOW + 9 * HOUR)
        return [
            ((one.hour - NOW) // HOUR, one.provider, one.app, one.calls, one.throttled, one.failed,
             one.rows)
            for one in found
        ]  # fmt: skip


def roll_up(database: Database, hours: float) -> list[int]:
    """Roll up as of then; return the hours that were counted."""
    return [(hour - NOW) // HOUR for hour in usage.roll_up(database, NOW + hours * HOUR)]


@pytest.fixture
def used(database: Database) -> Database:
    """Two apps, three hours, one of them without calls."""
    call(database, 0.1, 200, rows=100)
    call(database, 0.2, 429)
    call(database, 0.9, None)
    call(database, 0.9, 503, app="b")
    call(database, 2.0, 200, app="b", rows=7)
    return database


ALL: Seen = [
    (0, "lincoln", "a", 3, 1, 1, 100),
    (0, "lincoln", "b", 1, 0, 1, 0),
    (2, "lincoln", "b", 1, 0, 0, 7),
]


def test_an_hour_is_counted_when_it_is_settled_and_never_again(used: Database) -> None:
    """Two hours after it began; what comes later of it is not to be expected."""
    assert roll_up(used, 1.9) == []
    assert roll_up(used, 2.0) == [0]
    assert roll_up(used, 3.9) == []
    call(used, 0.5, 200)
    assert roll_up(used, 9.0) == [2]
    assert seen(used, 9) == ALL


def test_what_is_not_rolled_up_yet_is_counted_from_the_calls(used: Database) -> None:
    """So what is shown does not depend on how far beat is."""
    for hours in (0, 2, 9):
        roll_up(used, hours)
        assert seen(used, 9) == ALL
    assert seen(used, 1) == ALL[:2]


def test_what_could_not_be_sent_has_failed_but_not_what_is_our_own_doing(used: Database) -> None:
    """Before and after it is rolled up."""
    call(used, 2.1, None, unsent=Link.CONNECTION, app="b")
    call(used, 2.2, None, unsent=Link.FLEET, app="b")
    for hours in (0, 9):
        roll_up(used, hours)
        assert seen(used, 9) == [*ALL[:2], (2, "lincoln", "b", 2, 0, 1, 7)]
        with used.read() as session:
            hour = usage.counted(session, NOW, NOW + 9 * HOUR, None, "b", NOW + 9 * HOUR)[-1]
            assert hour.unsent == 1


def test_a_call_under_way_has_not_failed(database: Database) -> None:
    """One whose worker was lost has, once its lease is over."""
    call(database, 0, None)
    for now, failed in ((NOW + LEASE, 0), (NOW + 2 * LEASE, 1)):
        with database.read() as session:
            (hour,) = usage.counted(session, NOW, NOW + HOUR, None, None, now)
            assert (hour.calls, hour.failed) == (1, failed)


def test_two_beats_at_once_count_an_hour_once(used: Database) -> None:
    """On both databases."""
    results = at_once(*[lambda: roll_up(used, 9)] * 5)
    assert not [each for each in results if isinstance(each, Exception)]
    assert seen(used, 9) == ALL


def test_usage_stays_when_the_calls_are_deleted(used: Database, tmp_path: Path) -> None:
    """Retention never takes a call that is not counted, and takes the counts in their turn."""
    clock = ManualClock(NOW)
    kept = RetentionConfig(jobs=HOUR, usage=timedelta(days=2))
    retention = Retention(used, Settings(data_dir=tmp_path, retention=kept), clock)
    clock.advance(2.9 * 3600)
    retention.run(actor="test")
    assert seen(used, 9) == ALL
    roll_up(used, 9)
    clock.advance(6 * 3600)
    retention.run(actor="test")
    with used.read() as session:
        assert session.query(Attempt).count() == 0
    assert seen(used, 9) == ALL
    clock.advance(2 * 24 * 3600)
    retention.run(actor="test")
    with used.read() as session:
        assert session.query(UsageHour).count() == 0
