"""The fleet's log tells what lasts, again and again until it is gone."""

from structlog.testing import capture_logs

from sisgate.liveness.obstacles import Cause, Obstacle
from workers.maintenance.heartbeats import LASTING_SECONDS, REPEAT_SECONDS, Watch

BEAT = Obstacle(Cause.BEAT_MISSING, "beat is not running", "Start it.")
CLARK = Obstacle(Cause.WORKER_MISSING, "no worker serves clark", "Start one.", "clark")


def logged(*looks: tuple[float, list[Obstacle]]) -> list[tuple[str, str]]:
    """Return the events and causes of a watch that looks at such times and finds such things."""
    watch = Watch()
    with capture_logs() as events:
        for at, found in looks:
            watch.check(found, at)
    return [(event["event"], event["cause"]) for event in events]


def test_what_passes_is_not_told() -> None:
    """A fleet that starts or stops has such things, however often it is looked at meanwhile."""
    assert logged((0, [BEAT]), (5, []), (10, [BEAT]), (15, [])) == []
    assert logged(*((at, [BEAT]) for at in range(int(LASTING_SECONDS)))) == []


def test_what_lasts_is_told_once_a_minute_and_so_is_its_end() -> None:
    """Each by itself."""
    told = ("fleet_obstacle", "beat_missing")
    gone = ("fleet_obstacle_gone", "beat_missing")
    looks = [(0, [BEAT]), (5, [BEAT]), (10, [BEAT]), (15, [BEAT]), (10 + REPEAT_SECONDS, [BEAT])]
    assert logged(*looks, (100, [])) == [told, told, gone]
    assert logged((0, [BEAT, CLARK]), (10, [BEAT, CLARK]), (15, [CLARK])) == [
        told,
        ("fleet_obstacle", "worker_missing"),
        gone,
    ]
