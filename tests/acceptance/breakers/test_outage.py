"""Outages of a provider, and of one of its endpoints, under real workers."""

from collections import Counter
from itertools import pairwise

import pytest
from sqlalchemy import func, select

from sisgate.breakers.journal import read_journals
from sisgate.ledger import schema as tables
from sisgate.redis.keys import PROBE_GATE
from testbed.fleet import Fleet, MakeFleet
from testbed.recorder import FailingRecorder, Served, most_at_once

OPEN_SECONDS = 0.5
BREAKER = (
    f"breaker = {{ fail_max = 3, open_seconds = {OPEN_SECONDS}, open_cap_seconds = 1.5 }}\n"
    'limit = "off"'
)
BACKLOG = 60


def states(fleet: Fleet) -> Counter[str]:
    """Return how many jobs are in which state."""
    with fleet.gateway.context.database.read() as session:
        query = select(tables.Job.state, func.count()).group_by(tables.Job.state)
        return Counter({state: jobs for state, jobs in session.execute(query)})  # noqa: C416


def tries(fleet: Fleet) -> int:
    """Return the tries that all calls have spent."""
    with fleet.gateway.context.database.read() as session:
        return session.scalar(select(func.sum(tables.Call.tries))) or 0


def transitions(fleet: Fleet) -> list[str]:
    """Return why breakers have changed, as the audit log has it once it has all of it."""
    fleet.wait(lambda: not read_journals(fleet.redis, ["lincoln"]), "the journal is audited")
    with fleet.gateway.context.database.read() as session:
        query = select(tables.AuditEvent.reason).where(
            tables.AuditEvent.action == "breaker:endpoint:change"
        )
        return [str(reason) for reason in session.scalars(query.order_by(tables.AuditEvent.at))]


def test_an_outage_is_waited_for_with_probes_only(
    make_fleet: MakeFleet, recorder: FailingRecorder
) -> None:
    """One call at a time in the fleet, no try spent by what waits, and on again by itself."""
    fleet = make_fleet(lincoln=BREAKER)
    recorder.down.add("a")
    fleet.request("lincoln", BACKLOG)
    for _ in range(2):
        fleet.start_worker("lincoln", "sisgate", concurrency=3)
    fleet.start_beat()
    fleet.wait(
        lambda: bool(fleet.redis.exists(PROBE_GATE(provider="lincoln"))) and not recorder.at_work,
        "the breaker opens",
    )
    fleet.wait(lambda: fleet.unacked() == 0, "the calls under way have ended")
    before, spent = len(recorder.served), tries(fleet)
    fleet.wait(lambda: len(recorder.served) >= before + 4, "four probes")
    probes = recorder.served[before:]
    assert most_at_once(probes) == 1
    starts = [probe.began for probe in probes]
    # From the second opening on, the shortest is twice the first, less the jitter.
    assert all(b - a >= OPEN_SECONDS * 1.5 for a, b in pairwise(starts))
    assert tries(fleet) == spent <= before
    assert states(fleet) == {"running": BACKLOG}
    recorder.down.clear()
    fleet.wait(lambda: states(fleet) == {"done": BACKLOG}, "all is done")
    assert tries(fleet) == spent
    recovered = first_success(recorder.served)
    useful = [call for call in recorder.served if call.began > recovered.ended]
    print(f"first useful call {useful[0].began - recovered.ended:.2f} s after the probe")
    reasons = transitions(fleet)
    assert reasons[0] == "failures"
    assert reasons[-2:] == ["due", "recovered"]
    assert set(reasons[1:-1]) == {"due", "probe_failed"}


def first_success(served: list[Served]) -> Served:
    """Return the first call that did not fail."""
    return next(call for call in served if not call.failed)


@pytest.mark.parametrize("endpoints", ["ab"])
@pytest.mark.parametrize("strategy", ["weighted", "least_connections", "latency_aware"])
def test_a_dying_endpoint_costs_no_job_and_no_try(
    make_fleet: MakeFleet, recorder: FailingRecorder, strategy: str
) -> None:
    """Its calls fail over at once; after some failures it gets probes only, and later its share."""
    fleet = make_fleet(lincoln=f'{BREAKER}\nstrategy = "{strategy}"')
    fleet.start_worker("lincoln", "sisgate", concurrency=3)
    fleet.start_beat()
    fleet.request("lincoln", 20)
    fleet.wait(lambda: states(fleet) == {"done": 20}, "the first are done")
    assert {call.endpoint for call in recorder.served} == {"a", "b"}
    recorder.down.add("b")
    dying = len(recorder.served)
    fleet.request("lincoln", BACKLOG)
    fleet.wait(lambda: states(fleet) == {"done": 20 + BACKLOG}, "all are done")
    assert tries(fleet) == 0
    failed = [call for call in recorder.served[dying:] if call.failed]
    reasons = transitions(fleet)
    # As many as open the breaker, those under way beside them, and a probe for each opening.
    assert len(failed) <= 3 + 2 + reasons.count("due")
    recorder.down.clear()
    cleared = len(recorder.served)

    def is_back() -> bool:
        # A strategy may avoid a failing endpoint before its breaker opens: then none recovers.
        recovered = "recovered" in feed(fleet) or not reasons
        served = {call.endpoint for call in recorder.served[cleared:] if not call.failed}
        return recovered and "b" in served

    fleet.wait(is_back, "the endpoint has its share again")


def feed(fleet: Fleet) -> list[str]:
    """Give the fleet something to do, and return why breakers have changed."""
    fleet.request("lincoln", 2)
    return transitions(fleet)
