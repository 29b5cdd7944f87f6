"""Syncs by the clock: each slot once, none on top of one that has not ended, misses passed over."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sisgate import Gateway
from sisgate.errors import UsageError
from testbed.clock import ManualClock
from testbed.installation import install
from tests.contract.ledger.rows import at_once

EVENING = datetime(2026, 9, 1, 22, tzinfo=UTC)
HOUR = 3600.0
CONFIG = """
[providers.lincoln]
kind = "oneroster"
auth = "none"
[[providers.lincoln.endpoints]]
url = "https://lincoln.test"

[schedules.nightly]
provider = "lincoln"
resources = ["students", "classes"]
cron = "0 2 * * *"
catch_up = "PT2H"

[schedules.often]
provider = "lincoln"
resources = ["enrollments"]
every = "PT15M"
mode = "incremental"
priority = "normal"
"""


@pytest.fixture
def clock() -> ManualClock:
    """The time of day."""
    return ManualClock(EVENING)


@pytest.fixture
def gateway(
    tmp_path: Path, redis_url: str, ledger_url: str, clock: ManualClock
) -> Iterator[Gateway]:
    """A gateway with two schedules, whose fleet has no worker."""
    settings = install(tmp_path, CONFIG, redis_url=redis_url, database_url=ledger_url)
    gateway = Gateway(settings, clock=clock)
    yield gateway
    gateway.close()


def due(gateway: Gateway) -> list[str]:
    """Look once, and return the resources of the new jobs."""
    return [str(job.status().resource) for job in gateway.schedules.run_due()]


def end_all(gateway: Gateway) -> None:
    """End what waits."""
    for job in gateway.jobs.list(limit=100):
        if not job.is_final:
            gateway.jobs.cancel(job.id)


def test_a_slot_is_run_once_however_often_one_looks(gateway: Gateway, clock: ManualClock) -> None:
    """Also when the job of the slot has ended; the next slot makes the next one."""
    assert due(gateway) == ["enrollments"]
    assert due(gateway) == []
    end_all(gateway)
    assert due(gateway) == []
    clock.advance(HOUR / 4)
    assert due(gateway) == ["enrollments"]
    end_all(gateway)
    clock.advance(4 * HOUR)
    assert due(gateway) == ["students", "classes", "enrollments"]
    (job,) = (
        job for job in gateway.jobs.list() if job.resource == "enrollments" and not job.is_final
    )
    assert (job.app, job.priority.name) == ("schedule/often", "NORMAL")


def test_five_beats_that_look_at_once_make_one_run(gateway: Gateway, clock: ManualClock) -> None:
    """The slot is the idempotency key."""
    clock.advance(4 * HOUR)
    at_once(*[lambda: gateway.schedules.run_due()] * 5)
    assert sorted(str(job.resource) for job in gateway.jobs.list(limit=100)) == [
        "classes",
        "enrollments",
        "students",
    ]


def test_a_dataset_whose_last_run_has_not_ended_waits_for_it(
    gateway: Gateway, clock: ManualClock
) -> None:
    """One run follows, not one for each slot that passed."""
    assert due(gateway) == ["enrollments"]
    clock.advance(HOUR)
    assert due(gateway) == []
    end_all(gateway)
    assert due(gateway) == ["enrollments"]
    end_all(gateway)
    assert due(gateway) == []


def test_what_was_missed_for_long_is_passed_over(gateway: Gateway, clock: ManualClock) -> None:
    """Nothing ran at two o'clock: at four it is too late, and at half past three it was not."""
    clock.advance(5.5 * HOUR)
    assert "students" in due(gateway)
    end_all(gateway)
    clock.advance(24.6 * HOUR)
    assert due(gateway) == ["enrollments"]


def test_what_is_refused_is_tried_at_the_next_look(gateway: Gateway, clock: ManualClock) -> None:
    """A full backlog passes no slot over, and keeps no other schedule from running."""
    codes = []
    full = gateway.settings.providers["lincoln"].model_copy(update={"max_waiting_jobs": 1})
    gateway.settings.providers["lincoln"] = full
    clock.advance(4 * HOUR)
    made = gateway.schedules.run_due(
        lambda _name, _who, what, error: codes.append((what, error.code))
    )
    assert [job.status().resource for job in made] == ["students"]
    assert codes == [("classes", "backlog_full"), ("enrollments", "backlog_full")]
    end_all(gateway)
    assert due(gateway) == ["classes"]


def test_they_are_listed_with_their_next_slot_and_last_jobs(
    gateway: Gateway, clock: ManualClock
) -> None:
    """And can be run by hand without taking the slot away."""
    with pytest.raises(UsageError, match="Configured: nightly, often"):
        gateway.schedules.run("hourly")
    jobs = gateway.schedules.run("nightly")
    assert [job.status().resource for job in jobs] == ["students", "classes"]
    nightly, often = gateway.schedules.list()
    assert nightly.next_at == datetime(2026, 9, 2, 2, tzinfo=UTC)
    assert [job.resource for job in nightly.jobs] == ["students", "classes"]
    assert (often.when, often.jobs) == ("every 15 min", [])
    end_all(gateway)
    clock.advance(4 * HOUR)
    assert due(gateway) == ["students", "classes", "enrollments"]
