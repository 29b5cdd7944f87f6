"""Whatever is found in a queue: it is put aside, its permit returned, and the worker lives."""

import base64
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from sisgate.broker import call_task
from sisgate.quarantine import Quarantine
from sisgate.redis.keys import QUARANTINE
from sisgate.redis.queues import PLANNER_QUEUE
from testbed.fleet import Fleet, MakeFleet, message
from testbed.recorder import Recorder

Change = Callable[[dict[str, Any]], Any]


def bomb(good: dict[str, Any]) -> None:
    """Make a small message that is large when it is read."""
    good["body"] = base64.b64encode(zlib.compress(b" " * 50_000_000, 9)).decode()
    good["headers"]["compression"] = "application/x-gzip"


CHANGES: dict[str, Change] = {
    "no headers": lambda m: m.pop("headers"),
    "headers null": lambda m: m.update(headers=None),
    "headers a list": lambda m: m.update(headers=[]),
    "no task": lambda m: m["headers"].pop("task"),
    "task a list": lambda m: m["headers"].update(task=[]),
    "unknown task": lambda m: m["headers"].update(task="not.here"),
    "id a dict": lambda m: m["headers"].update(id={}),
    "id null": lambda m: m["headers"].update(id=None),
    "timelimit a number": lambda m: m["headers"].update(timelimit=5),
    "timelimit of words": lambda m: m["headers"].update(timelimit=["a", "b"]),
    "eta of words": lambda m: m["headers"].update(eta="tomorrow"),
    "expires of words": lambda m: m["headers"].update(expires="never"),
    "no properties": lambda m: m.pop("properties"),
    "no tag": lambda m: m["properties"].pop("delivery_tag"),
    "tag a number": lambda m: m["properties"].update(delivery_tag=7),
    "tag null": lambda m: m["properties"].update(delivery_tag=None),
    "no delivery info": lambda m: m["properties"].pop("delivery_info"),
    "exchange a dict": lambda m: m["properties"]["delivery_info"].update(exchange={}),
    "bad base64": lambda m: m.update(body="W"),
    "unknown encoding": lambda m: m["properties"].update(body_encoding="rot13"),
    "no body": lambda m: m.pop("body"),
    "body null": lambda m: m.update(body=None),
    "bomb": bomb,
    "huge": lambda m: m.update(body="x" * 2_000_000),
    "pickle": lambda m: m.update({"content-type": "application/x-python-serialize"}),
}
BROKEN_TEXTS = (
    b"",
    b"garbage",
    b"\xff\xfe\x00",
    b"42",
    b"[]",
    b"{}",
    b"null",
    b'"text"',
    b"NaN",
    b"0x1F",
    b"[" * 3000 + b"]" * 3000,
    b'{"x": {"__type__": "decimal", "__value__": "x"}}',
    b'{"x": {"__type__": "datetime", "__value__": 5}}',
    b'{"x": {"__type__": "uuid", "__value__": {"a": 1}}}',
    b'{"x": {"__type__": "bytes", "__value__": 5}}',
    b'{"x": {"__type__": [], "__value__": 5}}',
    b'{"properties": {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": ""}}',
)


def malformed(task: str, kwargs: dict[str, Any], queue: str) -> list[bytes]:
    """Return texts that are no message of ours."""
    texts = list(BROKEN_TEXTS)
    for change in CHANGES.values():
        made = message(task, kwargs, queue)
        change(made)
        texts.append(json.dumps(made).encode())
    return texts


def refused(fleet: Fleet) -> int:
    """Return how many messages were put aside."""
    return int(fleet.redis.llen(QUARANTINE()))


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent"])
def test_malformed_messages_of_a_provider_queue_hurt_nobody(
    pool: str, make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """Each of them is put aside and costs no quota; what waits behind them is done."""
    fleet = make_fleet(alpha='limit = "100/h"\nburst = 100')
    worker = fleet.start_worker(pool=pool)
    texts = malformed(call_task("alpha"), {"call_id": 1}, "alpha")
    for text in texts:
        fleet.put("alpha", text)
    fleet.request("alpha", 3)
    fleet.wait(lambda: len(recorder["alpha"].arrivals) == 3, "the good ones behind them")
    fleet.wait(lambda: refused(fleet) >= len(texts) - 2, "the bad ones are put aside")
    fleet.wait(lambda: fleet.unacked() == 0, "none of them can come back")
    fleet.wait(lambda: fleet.in_flight("alpha") == 0, "their permits are back")

    assert worker.is_alive()
    assert fleet.waiting("alpha") == 0
    assert all(b"sisgate_permit" not in each.text for each in Quarantine(fleet.redis).messages())
    assert "x" * 100 not in worker.log
    used = fleet.limiter.state("alpha", fleet.spec("alpha")).windows[0].used
    assert used <= 3 + 2


def test_malformed_messages_of_the_planner_queue_hurt_nobody(
    make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """The same holds for the queue that is pushed; plain Celery exits on eight of these."""
    fleet = make_fleet(alpha='limit = "off"')
    worker = fleet.start_worker(PLANNER_QUEUE, "alpha")
    texts = malformed("sisgate.rollups", {}, PLANNER_QUEUE)
    for text in texts:
        fleet.redis.lpush(PLANNER_QUEUE, text)
    fleet.wait(lambda: fleet.redis.llen(PLANNER_QUEUE) == 0, "all are read")
    fleet.request("alpha", 3)
    fleet.wait(lambda: len(recorder["alpha"].arrivals) == 3, "calls go on")
    fleet.wait(lambda: fleet.unacked() == 0, "none of them can come back")

    assert worker.is_alive()
    assert refused(fleet) >= len(texts) - 2


def test_what_workers_tell_each_other_is_not_malformed(
    make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """A worker that starts asks the others, whose answers have a shape of their own."""
    fleet = make_fleet(alpha='limit = "off"')
    fleet.start_worker()
    second = fleet.start_worker(meets=True)

    assert "sync with" in second.log
    assert refused(fleet) == 0
