"""Somebody at the command line is told what keeps a call from being made, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from sisgate import Gateway
from sisgate.broker import redis_client
from sisgate.cli.invocation import Invocation
from sisgate.cli.main import execute

Run = Callable[..., str]
ASKED = ("request", "lincoln", "GET", "/orgs", "--timeout", "0.1")


@pytest.fixture
def run(
    gateway: Gateway,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Run a command beside a fleet whose every worker is at work; return all that it said."""
    client = redis_client(redis_url)
    client.hset("unacked", "a message", "of a worker")
    parts = {"gateway": gateway, "database": gateway.database, "redis": client}
    for name, part in parts.items():
        monkeypatch.setattr(Invocation, name, part)

    def said(*words: str, code: int = 0) -> str:
        assert execute([*words]) == code, words
        captured = capsys.readouterr()
        return " ".join((captured.out + captured.err).replace("│", " ").split())

    yield said
    client.close()


def test_an_open_breaker_is_told_as_the_cause(gateway: Gateway, run: Run) -> None:
    """Held by hand with an end and without one: until when, and how to end it."""
    end = gateway.clock.now() + timedelta(minutes=30)
    gateway.breakers("lincoln").set("open", until=end, actor="ana")
    words = run(*ASKED, code=75)
    assert "lincoln takes no calls: its breaker is open (held by hand) until 20" in words
    assert "`sisgate breaker lincoln auto`" in words
    assert "longer timeout" not in words
    gateway.breakers("lincoln").set("open", actor="ana")
    assert "(held by hand) without an end" in run(*ASKED, code=75)


def test_a_pause_and_a_block_are_told_as_the_cause(gateway: Gateway, run: Run) -> None:
    """The pause with what ends it."""
    gateway.control("lincoln").pause(actor="ana")
    assert "it is paused without an end. `sisgate resume lincoln`" in run(*ASKED, code=75)
    gateway.control("lincoln").resume(actor="ana")
    gateway.limiter.block("lincoln", 120.0, "answered 429")
    assert "lincoln takes no calls: it asked us to wait until 20" in run(*ASKED, code=75)
