"""Five beats at once do what one does."""

from pathlib import Path

from sqlalchemy import func, select

from sisgate.domain.timings import Timed
from sisgate.ledger import schema as tables
from sisgate.ledger import timings
from sisgate.ledger.attempts import was_sent
from tests.faults.fleet import Fleet
from tests.faults.provider import ROWS

REQUESTS = 20
SCHEDULE = """
[schedules.daily]
provider = "calm"
resources = ["orgs"]
every = "P1D"
catch_up = "P1D"
"""
"""Always due, once."""


def test_five_beats_at_once_make_one_logical_run(tmp_path: Path) -> None:
    """Each call is made once and each row is written once, whatever is triggered five times."""
    with Fleet(tmp_path, "postgresql", beats=5, more=SCHEDULE) as fleet:
        fleet.ask("sync", "lists")
        for number in range(REQUESTS):
            fleet.ask("GET", "requests", f"/{number}")
        fleet.wait(lambda: len(fleet.book.accepted) == REQUESTS + 1, "the app has asked")
        fleet.wait(lambda: bool(fleet.gateway.schedules.list()[0].jobs), "a slot has its job")
        jobs = [fleet.gateway.job(found.id) for found in fleet.gateway.jobs.list()]
        fleet.wait(lambda: all(job.status().is_final for job in jobs), "all work ends")

        assert {job.status().state for job in jobs} == {"done"}
        assert set(fleet.provider.calls_of("requests").values()) == {1}
        assert set(fleet.provider.pages_of("lists").values()) == {1}
        slots = [job for job in fleet.gateway.jobs.list() if job.app == "schedule/daily"]
        midnights = {job.accepted_at.date() for job in slots}
        assert len(slots) == len(midnights)
        changes = list(fleet.gateway.changes("lists", "orgs"))
        assert [change.sequence for change in changes] == list(range(1, ROWS + 1))
        with fleet.gateway.context.database.read() as session:
            attempts = session.scalar(
                select(func.count()).select_from(tables.Attempt).where(was_sent())
            )
        assert attempts == len(fleet.provider.seen)
        steps = {Timed.ACCEPTED: len(slots), Timed.BEGUN: len(slots)}
        fleet.wait(lambda: delays(fleet) == steps, "each slot is counted once")


def delays(fleet: Fleet) -> dict[Timed, int]:
    """How many slots metrics know of, by what was late."""
    with fleet.gateway.context.database.read() as session:
        found = {name: sketch.count for name, label, sketch in timings.ever(session) if label}
    return {name: count for name, count in found.items() if name.is_of_provider}
