"""Real workers count what becomes of calls: without beat, and whichever of them is killed."""

from collections import Counter

from sisgate.domain.call_results import CallResult
from sisgate.ledger import rollups
from testbed.fleet import Fleet, MakeFleet
from testbed.recorder import Recorder

CALLS = 20


def counted(fleet: Fleet) -> Counter[CallResult]:
    """What is counted so far."""
    found: Counter[CallResult] = Counter()
    with fleet.gateway.context.database.read() as session:
        for key, tally in rollups.ever(session):
            found[key.result] += tally.calls
    return found


def test_each_call_that_the_provider_saw_is_counted_or_lost(
    make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """A worker is killed while it calls; another one does its duties, and tells of what it lost."""
    fleet = make_fleet(lincoln="timeout_seconds = 2\nlease_seconds = 4")
    first, second = (fleet.start_worker("lincoln", pool="threads") for _ in range(2))
    fleet.request("lincoln", CALLS)
    fleet.wait(lambda: counted(fleet)[CallResult.OK] > 0, "some calls are counted", first, second)
    recorder.latencies["lincoln"] = lambda: 60.0
    fleet.request("lincoln", 2)
    fleet.wait(
        lambda: len(recorder["lincoln"].arrivals) > CALLS, "a call is under way", first, second
    )
    for worker in (first, second):
        worker.kill_all()
    recorder.latencies["lincoln"] = lambda: 0.0
    third = fleet.start_worker("lincoln", pool="threads")
    fleet.wait(lambda: counted(fleet)[CallResult.OK] == CALLS + 2, "all are counted", third)
    found, arrived = counted(fleet), len(recorder["lincoln"].arrivals)
    sent = sum(number for result, number in found.items() if result.was_sent)
    assert sent <= arrived <= sent + found[CallResult.LOST]
    assert found[CallResult.LOST] >= 1
