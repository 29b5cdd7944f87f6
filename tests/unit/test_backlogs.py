"""How many jobs may wait: seldom counted where there is room, and kept by all processes."""

from typing import cast

import pytest
from sqlalchemy.orm import Session

from sisgate.gateway.acceptance import Backlogs
from sisgate.ledger import jobs
from testbed.clock import ManualClock

MOST, PROCESSES = 1000, 20


class Ledger:
    """Jobs that wait, and how often they were counted."""

    def __init__(self, processes: int, patched: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock()
        self.waiting = self.counts = 0
        self._backlogs = [Backlogs(self.clock) for _ in range(processes)]
        patched.setattr(jobs, "live_count", self._count)

    def _count(self, _session: Session, _provider: str, most: int) -> int:
        self.counts += 1
        return min(most, self.waiting)

    def accept(self, process: int, count: int = 1) -> int:
        """Accept jobs in a process; return how many were too many, which are not kept."""
        self.waiting += count
        backlog = self._backlogs[process]
        excess = backlog.excess(cast(Session, None), "lincoln", MOST, count)
        self.waiting -= count if excess else 0
        return excess


def test_all_processes_of_a_fleet_together_hold_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has counted while there was room, and all go on within the same second."""
    ledger = Ledger(PROCESSES, monkeypatch)
    for process in range(PROCESSES):
        ledger.accept(process)
    while sum(map(ledger.accept, range(PROCESSES))) < PROCESSES:
        pass
    assert MOST <= ledger.waiting <= MOST * (1 + PROCESSES / 100)


def test_one_process_holds_it_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """And counts far less often than it accepts."""
    ledger = Ledger(1, monkeypatch)
    while not ledger.accept(0):
        pass
    assert ledger.waiting == MOST
    assert ledger.counts < MOST / 2
    ledger.waiting -= 10
    assert ledger.accept(0, 12) == 2


def test_a_count_is_gone_by_for_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may have filled the backlog since."""
    ledger = Ledger(1, monkeypatch)
    assert ledger.accept(0) == 0
    ledger.waiting = MOST
    ledger.clock.advance(1.0)
    assert ledger.accept(0) == 1
