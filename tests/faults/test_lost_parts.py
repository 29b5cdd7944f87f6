"""A fleet that loses any of its processes goes on, and says what stands still."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from sisgate.gateway import Cause
from tests.faults.fleet import CLOCK, LEASE_SECONDS, LIMITED, DatabaseKind, Fleet
from tests.faults.kept import Kept
from tests.faults.oracles import Findings, examine

CALLS = (*LIMITED, "calm")
SERVING = (["sisgate"], CALLS, CALLS)
"""A planner, and two workers of every provider."""

LOST_SECONDS = 600 * LEASE_SECONDS / 100
"""Ten minutes, shortened as the lease is."""

TOLD_SECONDS = 30.0
"""How soon a screen names what stands still."""

LOAD = 12
"""Requests of one round."""


def lead(fleet: Fleet) -> Kept:
    """Return the worker that does the fleet's duties."""

    def named() -> str:
        found = fleet.gateway.fleet.liveness().fleet
        return (found.leader if found else None) or ""

    fleet.wait(lambda: bool(named()), "somebody does the duties")
    return fleet.workers[int(named()[1]) - 1]


LOSSES: dict[str, tuple[Callable[[Fleet], Kept], DatabaseKind]] = {
    "beat": (lambda fleet: fleet.beats[0], "postgresql"),
    "planner": (lambda fleet: fleet.workers[0], "sqlite"),
    "a worker": (lambda fleet: fleet.workers[1], "postgresql"),
    "the leader": (lead, "sqlite"),
}


def standing_still(fleet: Fleet, lost: Kept) -> set[Cause]:
    """Return what is to be named without a process."""
    named = {fleet.beats[0]: Cause.BEAT_MISSING, fleet.workers[0]: Cause.PLANNER_MISSING}
    return {named[lost]} if lost in named else set()


def causes(fleet: Fleet) -> set[Cause]:
    """Return all that is said to be wrong."""
    return {one.cause for one in fleet.gateway.fleet.liveness().obstacles}


def load(fleet: Fleet, word: str) -> None:
    """Have the app ask for a sync, which somebody must plan, and for some requests."""
    lines = fleet.book.lines + LOAD + 1
    fleet.ask("sync", "lists")
    for number in range(LOAD):
        method = "POST" if number % 3 == 0 else "GET"
        fleet.ask(method, "requests", f"/{word.replace(' ', '-')}/{number}")
    fleet.wait(lambda: fleet.book.lines >= lines, "the app has asked")


def has_ended(fleet: Fleet) -> bool:
    """Return whether all that was accepted has ended."""
    ids = [each.job for each in fleet.book.accepted]
    return all(status.is_final for status in fleet.gateway.jobs.statuses(ids[-500:]))


def begin(fleet: Fleet) -> None:
    """Bring the fleet to work, with a list that is read in peace."""
    fleet.ask("sync", "calm")
    load(fleet, "before")
    fleet.wait(lambda: has_ended(fleet), "a whole fleet works")
    fleet.wait(lambda: not causes(fleet), "nothing is missing")


def assert_whole(fleet: Fleet) -> None:
    """Nothing was lost or doubled, and no window held too many calls."""
    findings = Findings()
    examine(fleet, findings)
    assert findings.breaks == [], fleet.told()


@pytest.mark.parametrize("what", LOSSES)
def test_a_fleet_that_loses_a_process_goes_on_without_it(tmp_path: Path, what: str) -> None:
    """For ten minutes, under load; what stands still is named, and no job is said to wait."""
    which, database = LOSSES[what]
    with Fleet(tmp_path, database, serving=SERVING) as fleet:
        begin(fleet)
        load(fleet, f"{what} is lost")
        lost = which(fleet)
        lost.lose()
        lost_at = CLOCK.monotonic()
        rounds = 0
        while CLOCK.monotonic() < lost_at + LOST_SECONDS:
            load(fleet, f"without {what} {rounds}")
            fleet.wait(lambda: has_ended(fleet), f"work ends without {what}")
            rounds += 1
            if CLOCK.monotonic() >= lost_at + TOLD_SECONDS:
                assert causes(fleet) == standing_still(fleet, lost)
        assert rounds >= 2, fleet.told()
        assert not fleet.gateway.fleet.liveness().stopping("lists")
        assert_whole(fleet)


def test_an_emptied_redis_is_counted_in_without_beat_and_planner(tmp_path: Path) -> None:
    """By the one worker that there is, whatever it serves; the calls of before count."""
    with Fleet(tmp_path, "sqlite", beats=0, serving=[CALLS]) as fleet:
        fleet.ask("sync", "calm")
        fleet.wait(lambda: bool(fleet.book.accepted) and has_ended(fleet), "a first sync")
        for number in range(4):
            load(fleet, f"flush {number}")
            seen = len(fleet.provider.seen)
            fleet.wait(lambda: len(fleet.provider.seen) > seen, "calls are made")  # noqa: B023
            fleet.redis.client.flushall()
        fleet.wait(lambda: has_ended(fleet), "all work ends")
        assert causes(fleet) == {Cause.BEAT_MISSING, Cause.PLANNER_MISSING}
        assert_whole(fleet)


def test_a_leader_that_stood_still_does_no_harm(tmp_path: Path) -> None:
    """It has read the calls for an emptied Redis, and goes on after it was emptied again."""
    with Fleet(tmp_path, "postgresql", serving=SERVING) as fleet:
        begin(fleet)
        fleet.points.freeze("before redis sisgate.admission.limiter.Limiter.rebuild")
        fleet.redis.client.flushall()
        load(fleet, "it stops")
        fleet.wait(lambda: bool(fleet.points.taken), "the leader stands still")
        frozen = [worker for worker in fleet.workers if is_stopped(worker.pid)]
        try:
            fleet.wait(lambda: has_ended(fleet), "work ends without it")
            load(fleet, "while it stands still")
            fleet.wait(lambda: has_ended(fleet), "work goes on without it")
            fleet.redis.client.flushall()
        finally:
            for worker in frozen:
                os.killpg(worker.pid, signal.SIGCONT)
        load(fleet, "it goes on")
        fleet.wait(lambda: has_ended(fleet), "all work ends")
        assert len(frozen) == 1
        assert_whole(fleet)


def is_stopped(pid: int) -> bool:
    """Return whether a process was stopped by a signal."""
    stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    return stat.rpartition(") ")[2].startswith("T")
