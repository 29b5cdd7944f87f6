"""Workers of every pool, the planner and beat are seen while they live, and missed when not."""

from __future__ import annotations

import signal

import pytest

from sisgate.gateway import Cause, Liveness
from tests.acceptance.admission.conftest import MakeFleet
from tests.acceptance.admission.fleet import Fleet


def causes(fleet: Fleet) -> set[tuple[Cause, str | None]]:
    """Return what stands in the way, by provider."""
    return {(one.cause, one.provider) for one in fleet.gateway.liveness().obstacles}


def told(fleet: Fleet) -> str:
    """Return everything that is said."""
    return "; ".join(one.message for one in fleet.gateway.liveness().obstacles)


def serving(liveness: Liveness, provider: str) -> list[str]:
    """Return the pools of the live workers of a provider."""
    assert liveness.fleet is not None
    return [w.pool for w in liveness.fleet.processes if provider in w.queues and w.is_alive]


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent", "solo"])
def test_a_worker_is_seen_while_it_serves_and_missed_when_it_does_not(
    make_fleet: MakeFleet, pool: str
) -> None:
    """By its queue: one that it is told to leave is not served, and a stop in order is no death."""
    fleet = make_fleet(clark="", lincoln="")
    worker = fleet.start_worker("clark", pool=pool)
    fleet.wait(lambda: serving(fleet.gateway.liveness(), "clark") == [pool], "it is seen", worker)
    assert "no worker serves lincoln" in told(fleet)
    assert "no worker serves clark" not in told(fleet)
    fleet.app.control.cancel_consumer("clark")
    fleet.wait(lambda: "no worker serves clark" in told(fleet), "the queue is left", worker)
    fleet.app.control.add_consumer("clark")
    fleet.wait(lambda: "no worker serves clark" not in told(fleet), "it is back", worker)
    worker.end()
    fleet.wait(lambda: not fleet.gateway.liveness().as_dict()["processes"], "it is gone", worker)


def test_a_frozen_worker_and_a_killed_beat_are_named(make_fleet: MakeFleet) -> None:
    """Whole, the fleet has no obstacle; a process that lives but does nothing is not alive."""
    fleet = make_fleet(clark="")
    worker, beat = fleet.start_worker("sisgate", "clark"), fleet.start_beat()
    fleet.wait(lambda: not causes(fleet), "nothing is in the way", worker, beat)
    beat.kill_all()
    worker.signal(signal.SIGSTOP)
    try:
        fleet.wait(
            lambda: (
                {cause for cause, _ in causes(fleet)}
                == {Cause.PLANNER_MISSING, Cause.BEAT_MISSING, Cause.WORKER_MISSING}
            ),
            "all three are missed",
            worker,
        )
        assert "the planner has not been seen for " in told(fleet)
        assert "beat has not been seen for " in told(fleet)
        assert "no worker serves clark; the last one has not been seen for " in told(fleet)
    finally:
        worker.signal(signal.SIGCONT)
    fleet.wait(lambda: causes(fleet) == {(Cause.BEAT_MISSING, None)}, "it goes on", worker)
