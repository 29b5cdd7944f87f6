"""A task of the contract that was sent without a queue is found, and another app's are not."""

import json

import pytest
from celery import Celery

from sisgate import Gateway
from sisgate.redis.queues import queue_keys
from workers.maintenance import reconciler
from workers.runtime import Runtime

PLANNER, DEFAULT = queue_keys("sisgate"), queue_keys("celery")


@pytest.fixture
def other(redis_url: str) -> Celery:
    """An app of another team on the same Redis, which names no queue."""
    return Celery("other", broker=redis_url, set_as_current=False)


def send(app: Celery, name: str, **options: object) -> str:
    """Send a task as that app does, and return its id."""
    kwargs = {"provider": "lincoln", "resource": "students"}
    return str(app.send_task(name, kwargs=kwargs, ignore_result=True, **options).id)


def ids(gateway: Gateway, key: str) -> list[str]:
    """Return the task ids in a list of Redis, the first to be taken first."""
    texts = reversed(gateway.context.redis.lrange(key, 0, -1))
    return [json.loads(text)["headers"]["id"] for text in texts]


def test_what_is_ours_is_moved_in_order_and_with_its_priority(
    gateway: Gateway, runtime: Runtime, other: Celery
) -> None:
    """And it is addressed as if it had been sent to the planner, so that it is restored there."""
    sent = [send(other, "sisgate.sync") for _ in range(3)]
    high = send(other, "sisgate.sync", priority=3)
    theirs = send(other, "gradebook.export")
    mentions = other.send_task("gradebook.note", args=["sisgate.sync"]).id
    assert reconciler.move_unaddressed(runtime) == 4
    assert ids(gateway, PLANNER[0]) == sent
    assert ids(gateway, PLANNER[1]) == [high]
    assert ids(gateway, DEFAULT[0]) == [theirs, mentions]
    moved = json.loads(gateway.context.redis.lindex(PLANNER[0], 0) or "")
    assert moved["properties"]["delivery_info"] == {"exchange": "sisgate", "routing_key": "sisgate"}
    assert reconciler.move_unaddressed(runtime) == 0


def test_what_is_no_message_and_what_lies_deep_is_left(
    gateway: Gateway, runtime: Runtime, other: Celery
) -> None:
    """Another app's backlog is not gone through, however long it is."""
    bad = [b"sisgate.sync", b'{"headers": {"task": "sisgate.sync"}}', b"\xff sisgate.sync", b"[]"]
    bad += [
        b'{"sisgate.sync": {"__type__": "decimal", "__value__": "x"}}',
        b'{"sisgate.sync": {"__type__": "uuid", "__value__": 5}}',
    ]
    for text in bad:
        gateway.context.redis.lpush(DEFAULT[0], text)
    deep = send(other, "sisgate.sync")
    filler = [b"{}"] * reconciler.SEARCHED_AT_EACH_END
    gateway.context.redis.lpush(DEFAULT[0], *filler)
    gateway.context.redis.rpush(DEFAULT[0], *filler)
    near = send(other, "sisgate.sync")
    assert reconciler.move_unaddressed(runtime) == 1
    assert ids(gateway, PLANNER[0]) == [near]
    gateway.context.redis.rpop(DEFAULT[0], len(filler))
    assert reconciler.move_unaddressed(runtime) == 1
    assert ids(gateway, PLANNER[0]) == [near, deep]
    assert gateway.context.redis.llen(DEFAULT[0]) == len(filler) + len(bad)
