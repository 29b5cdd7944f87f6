"""Callers that wait cost neither a thread nor a connection to Redis each."""

import socket
import threading
from contextlib import ExitStack

import pytest

from sisgate import Gateway
from sisgate.clock import SystemClock, poll_until
from sisgate.integrations.awaiting import THREADS
from sisgate.integrations.fastapi import CallOptions
from sisgate.redis.client import RedisClient
from sisgate.settings import Settings
from testbed.caller import Caller
from testbed.heartbeats import be_heard
from tests.integration.middleware.conftest import MakeApp

CLOCK = SystemClock()
PATIENCE = 120.0
WAITERS = 200


@pytest.mark.parametrize("instead", ["wait", "stale"])
def test_two_hundred_wait_on_one_subscription_and_all_are_answered(
    serve: MakeApp, gateway: Gateway, installation: Settings, redis: RedisClient, instead: str
) -> None:
    """While nobody makes their calls; then somebody does. Also those who take old answers."""
    be_heard(gateway)
    options = CallOptions(timeout=PATIENCE, longest_timeout=PATIENCE, on_unavailable=instead)
    port = int(serve(options=options).rpartition(":")[2])
    before = threading.active_count()
    with ExitStack() as sockets:
        callers = [
            sockets.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
            for _ in range(WAITERS)
        ]
        for number, caller in enumerate(callers):
            target = f"/sis/lincoln/orgs?n={number}"
            caller.sendall(
                f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            )
        count = lambda: len(gateway.jobs.list(limit=2 * WAITERS))  # noqa: E731
        assert poll_until(lambda: count() == WAITERS, clock=CLOCK, timeout_seconds=PATIENCE)
        subscribed = redis.execute_command("CLIENT", "LIST", "TYPE", "pubsub")
        assert len(subscribed.splitlines()) == 1, subscribed
        assert threading.active_count() - before <= THREADS + 2
        with Caller(installation):
            answers = [caller.makefile("rb").read() for caller in callers]
    assert [answer for answer in answers if not answer.startswith(b"HTTP/1.1 200 OK")] == []
