"""Every process has a clock of its own, minutes and hours off; nothing shows it."""

from pathlib import Path

import pytest

from tests.faults.fleet import LIMIT, DatabaseKind, Fleet
from tests.faults.oracles import Findings, examine

HOUR = 3600.0
CLOCKS = {"worker1": 2 * HOUR, "worker2": -300.0, "beat1": -HOUR, "asker": 150.0}
REQUESTS, POSTS = LIMIT + 20, 10


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_clocks_of_hosts_do_not_matter(tmp_path: Path, database: DatabaseKind) -> None:
    """The limit holds, also after a wipe; nothing ends early, is made twice, or is unknown."""
    with Fleet(tmp_path, database, clocks=CLOCKS) as fleet:
        fleet.ask("sync", "calm")
        fleet.ask("sync", "lists")
        for number in range(REQUESTS):
            fleet.ask("GET", "requests", f"/get/{number}")
        for number in range(POSTS):
            fleet.ask("POST", "requests", f"/post/{number}")
        fleet.wait(lambda: fleet.book.lines == 2 + REQUESTS + POSTS, "the app has asked")
        fleet.wait(lambda: len(fleet.provider.times("requests")) > LIMIT / 2, "half a burst")
        fleet.gateway.context.redis.flushall()
        fleet.wait(lambda: all_final(fleet), "all work ends")
        found = Findings()
        examine(fleet, found)
        assert found.breaks == []
        assert set(found.ends) == {"done"}
        assert set(fleet.provider.calls_of("requests").values()) == {1}


def all_final(fleet: Fleet) -> bool:
    """Whether every job that was accepted has ended."""
    ids = [each.job for each in fleet.book.accepted]
    return all(status.is_final for status in fleet.gateway.jobs.statuses(ids))


def test_a_host_whose_clock_is_too_far_off_refuses_to_work(tmp_path: Path) -> None:
    """Its worker and beat end at once with the reason; the others do the work."""
    days = 3 * 24 * HOUR
    with Fleet(tmp_path, "sqlite", beats=2, clocks={"worker1": -days, "beat1": days}) as fleet:
        fleet.ask("GET", "requests", "/get")
        fleet.wait(lambda: fleet.provider.calls_of("requests")["/get"] == 1, "the call is made")
        refusing = (fleet.workers[0], fleet.beats[0])
        fleet.wait(
            lambda: all("than max_clock_difference" in each.log for each in refusing),
            "both say why they do not run",
        )
        assert "ready." not in fleet.workers[0].log
