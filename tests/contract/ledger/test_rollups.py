"""Calls are counted into rollups from the audit log, each exactly once."""

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from sisgate.audit import log, sealer
from sisgate.audit.keys import AuditKey, KeyRing
from sisgate.domain.call_results import CALL_OUTCOME, CallResult, CallTally
from sisgate.domain.latencies import LatencySketch
from sisgate.domain.periods import Period
from sisgate.ledger import expiry, rollups
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Rollup
from sisgate.monitoring import counting
from testbed.clock import ManualClock
from tests.contract.ledger.rows import NOW

KEYS = KeyRing([AuditKey(bytes(32))])
NUMBERS = count()


def end(database: Database, minutes: float = 0, **detail: Any) -> None:
    """The event of an attempt that ended so many minutes after `NOW`."""
    with database.write() as session:
        log.record(
            session, NOW + timedelta(minutes=minutes), actor="worker", action=CALL_OUTCOME,
            subject=f"call/{next(NUMBERS)}", provider=detail.pop("provider", "lincoln"),
            **{"outcome": "done", "priority": 6, "endpoint": "https://a", "status": 200, **detail},
        )  # fmt: skip


def seal(database: Database) -> None:
    """Seal what there is."""
    sealer.seal(database, KEYS, ManualClock(NOW))


def calls(database: Database, hours: float = 24, **wanted: Any) -> Counter[CallResult]:
    """How many calls of each result are counted in so many hours from `NOW`."""
    found: Counter[CallResult] = Counter()
    with database.read() as session:
        until = NOW + timedelta(hours=hours)
        for _, counted, tally in rollups.between(session, NOW, until, NOW, **wanted):
            found[counted.result] += tally.calls
    return found


def ever(database: Database) -> int:
    """How many calls are counted in all."""
    with database.read() as session:
        return sum(tally.calls for _, tally in rollups.ever(session))


@pytest.mark.parametrize(
    ("event", "result"),
    [
        ({}, "ok"),
        ({"status": 304}, "ok"),
        ({"status": 404, "outcome": "failed"}, "rejected"),
        ({"status": 403, "outcome": "failed"}, "unauthorized"),
        ({"status": 429, "outcome": "waits"}, "throttled"),
        ({"status": 503, "outcome": "failed over"}, "server_error"),
        ({"status": 408, "outcome": "waits"}, "server_error"),
        ({"outcome": "failed", "error": {"code": "answer_invalid"}}, "invalid"),
        ({"status": None, "outcome": "waits", "error": {"code": "x"}}, "no_response"),
        (
            {"status": None, "outcome": "waits", "sent": False,
             "error": {"code": "provider_unavailable"}},
            "unreachable",
        ),
        ({"status": None, "outcome": "waits", "sent": False, "error": {"code": "x"}}, "not_sent"),
        ({"status": None, "outcome": "not made"}, "not_sent"),
        ({"status": None, "outcome": "lost"}, "lost"),
    ],
)  # fmt: skip
def test_each_end_of_an_attempt_has_its_result(
    database: Database, event: dict[str, Any], result: str
) -> None:
    """What the provider did, and what it is not to blame for, apart."""
    error = event.get("error")
    end(database, **{**event, **({"error": error["code"]} if error else {})})
    seal(database)
    counting.count_next(database)
    assert calls(database) == {CallResult(result): 1}


def test_what_is_not_sealed_is_not_counted_yet(database: Database) -> None:
    """Only behind a seal nothing can appear any more."""
    end(database)
    assert not counting.count_next(database)
    seal(database)
    assert counting.count_next(database)
    assert not counting.count_next(database)
    assert ever(database) == 1


def test_an_event_that_comes_late_is_counted_in_its_own_minute(database: Database) -> None:
    """Hour and day have it too."""
    end(database, 90)
    seal(database)
    counting.count_next(database)
    end(database, 1)
    seal(database)
    counting.count_next(database)
    assert [calls(database, hours).total() for hours in (1, 2, 24)] == [1, 2, 2]


def test_all_periods_tell_the_same(database: Database) -> None:
    """Calls, rows and latencies by minute, hour and day add up to those of ever."""
    for number in range(200):
        times = {"queue": number, "permit": 0, "ledger": 1.5, "provider": 10 * number}
        end(database, number * 7, rows=number, ms=times, resource="students")
        if number % 50 == 0:
            seal(database)
            counting.count_next(database)
    seal(database)
    while counting.count_next(database):
        pass
    stages = ("queue", "provider")
    sums = []
    with database.read() as session:
        for period in (Period.MINUTE, Period.HOUR, Period.DAY):
            whole, day = CallTally(), timedelta(days=3)
            for _, _, tally in rollups.by_period(
                session, period, NOW - day, NOW + day, stages=stages
            ):
                whole.merge(tally)
            sums.append(whole)
        whole = CallTally()
        for _, tally in rollups.ever(session, stages):
            whole.merge(tally)
    expected = LatencySketch([float(10 * number) for number in range(200)])
    assert whole.latency("provider") == expected
    assert whole.rows == sum(range(200))
    assert [(one.calls, one.rows, one.latencies) for one in sums] == 3 * [
        (200, whole.rows, whole.latencies)
    ]


def test_who_counts_at_the_same_time_counts_once(database: Database) -> None:
    """Four processes with one log."""
    for _ in range(40):
        end(database)
        seal(database)
    threads = [threading.Thread(target=_count_all, args=(database,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ever(database) == 40


def _count_all(database: Database) -> None:
    while counting.count_next(database):
        pass


class KilledError(Exception):
    """Ends a process between two of its statements."""


def test_who_is_killed_while_counting_has_counted_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The progress and the sums are one transaction."""
    end(database)
    seal(database)
    with monkeypatch.context() as patched:
        patched.setattr(rollups, "add", _die)
        with pytest.raises(KilledError):
            counting.count_next(database)
    assert ever(database) == 0
    counting.count_next(database)
    assert ever(database) == 1


def _die(*_: object) -> None:
    raise KilledError


def test_an_event_that_somebody_has_garbled_stops_nothing(database: Database) -> None:
    """Verification reports it; the others are counted."""
    with database.write() as session:
        log.record(session, NOW, actor="worker", action=CALL_OUTCOME, subject="call/x")
    end(database)
    seal(database)
    counting.count_next(database)
    assert ever(database) == 1


STEPS = st.lists(st.sampled_from(["end", "seal", "count"]), max_size=25)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
def test_counts_follow_the_seals_in_any_order(database: Database, steps: Sequence[str]) -> None:
    """Counters only grow, and in the end nothing is missing or counted twice."""
    seal(database)
    _count_all(database)
    before, ended = ever(database), 0
    for step in steps:
        if step == "end":
            end(database)
            ended += 1
        elif step == "seal":
            seal(database)
        else:
            counting.count_next(database)
        assert before <= ever(database) <= before + ended
    seal(database)
    _count_all(database)
    assert ever(database) == before + ended


def test_minutes_and_hours_are_forgotten_and_days_stay(database: Database) -> None:
    """Until `retention.usage` ends them; the sums of ever stay for good."""
    end(database, 70)
    seal(database)
    counting.count_next(database)
    assert _first(database) == NOW + timedelta(minutes=70)
    expiry.expire_finer_rollups(database, NOW + timedelta(hours=8))
    assert _periods(database) == {"hour", "day", "ever"}
    end(database, 8 * 60)
    seal(database)
    counting.count_next(database)
    assert _first(database) == NOW + timedelta(hours=1), "that of its hour"
    expiry.expire_finer_rollups(database, NOW + timedelta(days=50))
    assert _periods(database) == {"day", "ever"}
    assert _first(database) == Period.DAY.begin_of(NOW)
    for _ in expiry.USAGE.delete(database, NOW + timedelta(days=800)):
        pass
    assert _periods(database) == {"ever"}
    assert _first(database) is None


def _first(database: Database) -> datetime | None:
    with database.read() as session:
        found = rollups.first(session)
        assert rollups.first(session, "lincoln") == found
        return found.get("lincoln")


def _periods(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(Rollup.period)))
