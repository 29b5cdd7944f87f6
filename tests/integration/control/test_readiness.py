"""Whether a process can accept jobs, and what waits for a provider."""

import pytest

from sisgate import Gateway
from sisgate.domain.priorities import Priority
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from testbed.heartbeats import BEAT, WORKER, be_heard


def failing(gateway: Gateway) -> set[str]:
    """The checks that fail."""
    return {check.name for check in gateway.fleet.readiness().checks if not check.ok}


def test_a_living_fleet_is_whole(gateway: Gateway) -> None:
    """Nothing fails, so both answers are yes."""
    readiness = gateway.fleet.readiness()
    assert failing(gateway) == set()
    assert readiness.is_ready
    assert readiness.is_whole


def test_without_workers_and_beat_jobs_are_accepted_all_the_same(gateway: Gateway) -> None:
    """So a load balancer goes on sending them here."""
    heartbeats = gateway.context.heartbeats
    heartbeats.withdraw(WORKER.id)
    heartbeats.withdraw(BEAT.id)
    readiness = gateway.fleet.readiness()
    assert failing(gateway) == {"workers", "beat"}
    assert readiness.is_ready
    assert not readiness.is_whole


def test_a_queue_that_nobody_serves_is_named(gateway: Gateway) -> None:
    """By the provider's name."""
    gateway.context.heartbeats.withdraw(WORKER.id)
    be_heard(gateway, ["sisgate", "open"])
    (workers,) = [c for c in gateway.fleet.readiness().checks if c.name == "workers"]
    assert workers.detail == "1 alive, none for lincoln, twin"


def test_what_is_down_is_a_result(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the ledger nothing is accepted; without Redis it is."""

    def away(*_: object) -> None:
        raise BrokerUnavailable("Redis is away.")

    def gone(*_: object) -> None:
        raise DatabaseUnavailable("The ledger is away.")

    monkeypatch.setattr(gateway.context.heartbeats, "read", away)
    assert failing(gateway) == {"broker", "workers", "beat"}
    assert gateway.fleet.readiness().is_ready
    monkeypatch.setattr("sisgate.ledger.migrate.current", gone)
    assert failing(gateway) >= {"database", "schema"}
    assert not gateway.fleet.readiness().is_ready


def test_a_queue_shows_what_waits_and_when_more_would_start(gateway: Gateway) -> None:
    """For each priority; what is less urgent starts no earlier."""
    gateway.enqueue_request("lincoln", "GET", "/x", priority="high")
    queue = gateway.providers.queue("lincoln")
    assert [each.priority for each in queue] == list(Priority)
    assert {each.priority.word: each.messages for each in queue} == {
        "urgent": 0, "high": 1, "normal": 0, "low": 0
    }  # fmt: skip
    starts = [each.starts_at for each in queue]
    assert all(starts)
    assert starts == sorted(each for each in starts if each)
