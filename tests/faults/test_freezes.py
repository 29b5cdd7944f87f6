"""A machine that stands still for longer than a lease does no harm when it goes on."""

import os
import signal
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from sisgate.domain.states import CallState
from sisgate.ledger import schema as tables
from tests.faults.fleet import Fleet

POINTS = (
    "after commit workers.calls.execute._claim",
    "before request sisgate.transport.Transport.send",
    "after connect sisgate.transport.Transport.send",
)
DROPPED = ("late_answer_dropped", "call_waits", "time limit", "TimeLimitExceeded")
"""What a worker says that finds on its return that its call is another's, or has taken too long."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One fleet, which has made a call."""
    with Fleet(tmp_path_factory.mktemp("fleet"), "sqlite") as made:
        made.ask("GET", "requests", "/first")
        made.wait(lambda: made.provider.calls_of("requests")["/first"] == 1, "the first call")
        yield made


def said(fleet: Fleet) -> int:
    """Return how often workers told that a call was not theirs any more."""
    return sum(worker.log.count(words) for worker in fleet.workers for words in DROPPED)


def running(fleet: Fleet) -> int:
    """Return how many calls are under way by the ledger."""
    query = select(func.count()).where(tables.Call.state == CallState.RUNNING.value)
    with fleet.gateway.context.database.read() as session:
        return session.scalar(query) or 0


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_sent_after_the_lease(fleet: Fleet, point: str, method: str) -> None:
    """The call is another worker's by then, or a person's; what stood still sends nothing."""
    path = f"/frozen/{POINTS.index(point)}/{method}"
    taken, before = len(fleet.points.taken), said(fleet)
    fleet.points.freeze(point)
    fleet.ask(method, "requests", path)
    fleet.wait(lambda: len(fleet.points.taken) > taken, "a worker stands still")
    fleet.wait(lambda: running(fleet) == 0, "its call is taken away from it")
    job = fleet.gateway.job(next(each.job for each in fleet.book.accepted if each.path == path))
    if method == "GET":
        fleet.wait(lambda: job.status().is_final, "the other worker makes the call")
    seen = fleet.provider.calls_of("requests")[path]
    assert seen == (1 if method == "GET" else 0)
    assert job.status().state == ("done" if method == "GET" else "unknown")
    for worker in fleet.workers:
        os.killpg(worker.pid, signal.SIGCONT)
    # A worker that finds that it has not sent gives the request back, and it is made, once. One
    # that was ended for taking too long cannot say. What others had made is not made again.
    ends = {("done", 1)} if method == "GET" else {("unknown", 0), ("done", 1)}

    def end() -> tuple[str, int]:
        return job.status().state, fleet.provider.calls_of("requests")[path]

    def is_found_out() -> bool:
        return said(fleet) > before or (method == "POST" and end() == ("done", 1))

    fleet.wait(is_found_out, "the worker has found it out")
    fleet.ask("GET", "requests", f"{path}/next")
    fleet.wait(lambda: fleet.provider.calls_of("requests")[f"{path}/next"] == 1, "work goes on")
    fleet.wait(lambda: end() in ends, "state and provider agree")
