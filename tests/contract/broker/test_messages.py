"""Messages are rendered, not sent by Celery: they are what Celery would send, and it reads them."""

import json
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery import Celery

from sisgate.broker import CALL_TASK_PREFIX, PLAN_TASK, Publisher, celery_app
from sisgate.clock import SystemClock, poll_until
from sisgate.domain.priorities import Priority
from sisgate.errors import BrokerUnavailable
from sisgate.redis.client import RedisClient, connect
from sisgate.redis.queues import PLANNER_QUEUE, list_key
from sisgate.settings import Settings
from sisgate.wakeups import Wakeups
from testbed.redis import RedisServer

PROVIDER = "lincoln"
IDS = {"id", "root_id", "correlation_id", "delivery_tag"}


@pytest.fixture
def client(redis_url: str) -> Iterator[RedisClient]:
    """Give a client of an empty Redis."""
    with connect(redis_url) as client:
        yield client


@pytest.fixture
def app(redis_url: str) -> Iterator[Celery]:
    """Give Celery as the product sets it up."""
    settings = SimpleNamespace(providers={PROVIDER: SimpleNamespace(lease=100.0)})
    app = celery_app(cast(Settings, settings), redis_url)
    yield app
    app.close()


@pytest.fixture
def publisher(client: RedisClient) -> Publisher:
    """Give the publisher of the product."""
    return Publisher(client, lambda: [PROVIDER], Wakeups(client, SystemClock()).signal_work)


def _only(client: RedisClient, queue: str, priority: int) -> dict[str, Any]:
    texts = cast(list[bytes], client.lrange(list_key(queue, priority), 0, -1))
    assert len(texts) == 1
    client.delete(list_key(queue, priority))
    found: dict[str, Any] = json.loads(texts[0])
    return found


def _without_ids(message: dict[str, Any]) -> dict[str, Any]:
    for part in (message["headers"], message["properties"]):
        for name in IDS & part.keys():
            assert len(part[name]) == 36
            part[name] = "an id"
    # The queue of a result that nobody waits for.
    message["properties"]["reply_to"] = ""
    return message


@pytest.mark.parametrize("priority", [*Priority, 5])
@pytest.mark.parametrize(
    ("task", "kwargs", "queue"),
    [
        (CALL_TASK_PREFIX + PROVIDER, {"call_id": 17}, PROVIDER),
        (PLAN_TASK, {"job_id": "6f3a'\"é"}, PLANNER_QUEUE),
        (PLAN_TASK, {"job_id": "@id@ @tag@ @body@ @arguments@"}, PLANNER_QUEUE),
    ],
)
def test_a_message_is_what_celery_itself_would_send(
    client: RedisClient,
    app: Celery,
    publisher: Publisher,
    task: str,
    kwargs: dict[str, Any],
    queue: str,
    priority: int,
) -> None:
    """Every field of headers, properties and body is the same, and so is the list."""
    app.send_task(task, kwargs=kwargs, queue=queue, priority=int(priority), ignore_result=True)
    theirs = _only(client, queue, priority)
    if "call_id" in kwargs:
        publisher.call(kwargs["call_id"], queue, int(priority))
    else:
        publisher.plan(kwargs["job_id"], int(priority))
    ours = _only(client, queue, priority)
    assert _without_ids(ours) == _without_ids(theirs)
    assert ours["headers"]["origin"].endswith(f"@{socket.gethostname()}")


def test_celery_reads_the_message(app: Celery, publisher: Publisher) -> None:
    """Kombu takes it off the queue and Celery makes a request with its arguments of it."""
    publisher.call(17, PROVIDER, int(Priority.HIGH))
    with app.connection_for_read() as connection:
        queue = app.amqp.queues[PROVIDER](connection.default_channel)
        message = queue.get(accept=["json"])
        assert message.headers["task"] == CALL_TASK_PREFIX + PROVIDER
        assert message.properties["priority"] == int(Priority.HIGH)
        args, kwargs, embedded = message.payload
        assert (args, kwargs, set(embedded.values())) == ([], {"call_id": 17}, {None})
        message.ack()


def test_ids_are_new_in_each_message(client: RedisClient, publisher: Publisher) -> None:
    """Two messages of one call are two deliveries of two tasks; the claim tells them apart."""
    publisher.calls([(17, PROVIDER, 6), (17, PROVIDER, 6)])
    texts = cast(list[bytes], client.lrange(list_key(PROVIDER, 6), 0, -1))
    found = [json.loads(text) for text in texts]
    assert len({message["headers"]["id"] for message in found}) == 2
    assert len({message["properties"]["delivery_tag"] for message in found}) == 2
    assert all(m["headers"]["id"] == m["headers"]["root_id"] for m in found)


def test_workers_are_woken_by_the_same_round_trip(
    client: RedisClient, publisher: Publisher
) -> None:
    """The signal names the provider, once for all of its calls."""
    signals = Wakeups(client, SystemClock()).signals()
    publisher.calls([(17, PROVIDER, 6), (18, PROVIDER, 0)])
    heard: list[bytes] = []

    def is_heard() -> bool:
        message = signals.get_message(timeout=0.05)
        heard.extend([message["data"]] if message else [])
        return bool(heard)

    assert poll_until(is_heard, clock=SystemClock(), timeout_seconds=10)
    assert heard == [PROVIDER.encode()]
    signals.close()


def test_a_connection_that_died_with_an_old_redis_costs_nothing() -> None:
    """The pooled connection is replaced at once; a Redis that is away is `BrokerUnavailable`."""
    server = RedisServer()
    try:
        with connect(server.url) as client:
            publisher = Publisher(
                client, lambda: [PROVIDER], Wakeups(client, SystemClock()).signal_work
            )
            publisher.call(17, PROVIDER, 6)
            client.connection_pool.reset()
            publisher.call(17, PROVIDER, 6)
            (connection,) = client.connection_pool._available_connections
            connection._sock.shutdown(2)
            publisher.call(18, PROVIDER, 6)
            assert client.llen(list_key(PROVIDER, 6)) == 3
            server.stop()
            with pytest.raises(BrokerUnavailable):
                publisher.call(19, PROVIDER, 6)
    finally:
        server.stop()
