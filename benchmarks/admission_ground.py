"""What the measurements of admission stand on: fleets of workers, and backlogs laid in bulk."""

import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sisgate.broker import call_task
from sisgate.clock import SystemClock, poll_until
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind, JobState
from sisgate.ledger import acceptance, call_queue
from sisgate.ledger.acceptance import NewJob
from sisgate.ledger.call_queue import NewCall
from sisgate.ledger.calls import Purpose
from sisgate.redis.queues import queue_keys
from testbed.fleet import Fleet, message
from testbed.recorder import Recorder
from testbed.redis import RedisServer

NOOP_APP = "benchmarks.noop_app"
CLOCK = SystemClock()
BATCH = 2000


@contextmanager
def fleet_of(providers: Mapping[str, str]) -> Iterator[Fleet]:
    """Give a fleet over a Redis and a ledger of its own, without workers yet."""
    server, recorder = RedisServer(), Recorder()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="sisgate-bench-") as folder,
            Fleet(Path(folder), server.url, recorder, providers) as fleet,
        ):
            fleet.begin_counting()
            yield fleet
    finally:
        recorder.stop()
        server.stop()


def lay_noops(fleet: Fleet, task: str, queue: str, count: int, *, low: bool = True) -> None:
    """Put messages of a task that does nothing into a queue, without the publisher's cost."""
    priority = Priority.LOW if low else Priority.NORMAL
    key = queue_keys(queue)[list(Priority).index(priority)]
    text = json.dumps(message(task, {}, queue, int(priority)))
    found = json.loads(text)
    # A million of them: the two ids are all that differs, and a uuid each would take the longest.
    template = text.replace("%", "%%")
    for old in (found["headers"]["id"], found["properties"]["delivery_tag"]):
        template = template.replace(old, old[:-12] + "%(number)012d")
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        fleet.redis.lpush(key, *[template % {"number": number} for number in numbers])


def lay_calls(
    fleet: Fleet, provider: str, count: int, *, priority: Priority = Priority.LOW
) -> None:
    """Accept so many requests in one transaction and put their messages into the queue."""
    now = CLOCK.now()
    ids: list[int] = []
    with fleet.gateway.context.database.write() as session:
        for number in range(count):
            target: dict[str, Any] = {
                "method": "GET",
                "path": f"/{number}",
                "query": {},
                "json": None,
            }
            new = NewJob(
                id=str(uuid.uuid4()),
                kind=JobKind.REQUEST,
                app="bench",
                provider=provider,
                priority=priority,
                options=target,
            )
            job, _ = acceptance.accept(session, new, now, published_at=now)
            call_queue.plan(session, job, [NewCall(Purpose.REQUEST, target=target)], now)
            ids += call_queue.queue_next(session, job.id, 1, now)
            job.state, job.started_at = JobState.RUNNING.value, now
    key = queue_keys(provider)[list(Priority).index(priority)]
    pipe = fleet.redis.pipeline(transaction=False)
    for call_id in ids:
        made = message(call_task(provider), {"call_id": call_id}, provider, int(priority))
        pipe.lpush(key, json.dumps(made))
    pipe.execute()


def wait_for(ready: Callable[[], bool], seconds: float, *, every: float = 0.01) -> float:
    """Wait until `ready()`; return the seconds that took."""
    begun = time.monotonic()
    if not poll_until(ready, clock=CLOCK, timeout_seconds=seconds, every_seconds=every):
        raise RuntimeError(f"not ready within {seconds:g} s")
    return time.monotonic() - begun


def percentile(values: list[float], part: float) -> float:
    """Return the value below which `part` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")
