"""A pool that forks beside the thread of the duties copies no lock that is held."""

import os
import threading

import pytest

from workers.maintenance import duties
from workers.maintenance.duties import ForkGate


def exit_of_child(pid: int) -> int:
    """Wait for a child and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_fork_waits_until_the_turn_is_over() -> None:
    """The thread is between two turns when the pool is copied."""
    gate, forking, at_work = ForkGate(), threading.Event(), threading.Event()
    os.register_at_fork(before=forking.set)  # runs before the gate's own
    ended: list[bool] = []

    def turn() -> None:
        with gate:
            at_work.set()
            forking.wait()
            ended.append(True)

    thread = threading.Thread(target=turn)
    thread.start()
    at_work.wait()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if ended else 1)
    assert exit_of_child(pid) == 0
    thread.join()
    with gate:
        assert ended


def test_a_turn_that_hangs_does_not_keep_the_pool_from_forking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The child has a gate of its own, and the parent's is as it was."""
    monkeypatch.setattr(duties, "FORK_SECONDS", 0.01)
    gate, at_work, goes_on = ForkGate(), threading.Event(), threading.Event()

    def turn() -> None:
        with gate:
            at_work.set()
            goes_on.wait()

    thread = threading.Thread(target=turn)
    thread.start()
    at_work.wait()
    pid = os.fork()
    if pid == 0:
        with gate:
            os._exit(0)
    assert exit_of_child(pid) == 0
    goes_on.set()
    thread.join()
    with gate:
        pass
