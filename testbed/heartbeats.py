"""The heartbeats of a fleet that does not run, for tests of what a living one would be told."""

from collections.abc import Iterable
from dataclasses import replace

from sisgate import Gateway, __version__
from sisgate.liveness.heartbeats import Heartbeat, Heartbeats

WORKER = Heartbeat("worker", "worker", "here", 1, "w@here", __version__, slots=4)
BEAT = Heartbeat("beat", "beat", "here", 2, "beat", __version__)

TIMES = "sisgate:1:heartbeat-times"
HOUR_MS = 3_600_000


def be_heard(gateway: Gateway, queues: Iterable[str] | None = None) -> Heartbeats:
    """Send the heartbeats of a worker of some queues (all), and of beat; note a reconcile.

    They are dated an hour from now, so that a slow test does not outlive them.
    """
    served = ("sisgate", *gateway.settings.providers) if queues is None else tuple(queues)
    heartbeats = Heartbeats(gateway.context.redis)
    follow = gateway.configuration.current().version or 0
    heartbeats.send(replace(WORKER, queues=served, configuration=follow))
    heartbeats.send(replace(BEAT, configuration=follow))
    heartbeats.note_reconcile()
    for one in (WORKER, BEAT):
        gateway.context.redis.zincrby(TIMES, HOUR_MS, one.id)
    date_reconcile(gateway)
    return heartbeats


def date_reconcile(gateway: Gateway) -> None:
    """Date the last reconcile an hour from now."""
    gateway.context.redis.hincrby("sisgate:1:reconciles", "done_ms", HOUR_MS)
