"""Errors of real calls become patterns: counted once, resolved, opened again, alerted."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sisgate.errors import UnknownErrorPattern
from sisgate.ledger.schema import ErrorPattern
from sisgate.monitoring.counting import count_next
from testbed.http_server import Asked, Reply, json_reply
from testbed.scene import INTERVAL_SECONDS, Scene
from workers.maintenance import audit

CANARY = "Adalovelace"


@pytest.fixture
def scene(tmp_path: Path, redis_url: str, ledger_url: str) -> Iterator[Scene]:
    """A fleet whose district refuses what is below /wrong, with a student's name."""
    scene = Scene(tmp_path, redis_url, ledger_url, 1)

    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/wrong"):
            return json_reply({"message": f"Student {CANARY} {asked.path} not found"}, 404)
        if asked.path.startswith("/gone"):
            return json_reply({"message": f"The server of {CANARY} is no longer there"}, 410)
        return json_reply({"orgs": []})

    scene.districts["lincoln"].answer = answer
    with scene.running():
        yield scene


def fail(scene: Scene, count: int, path: str = "/wrong") -> None:
    """Let an app ask for what is not there, and count it."""
    gateway = scene.as_app("portal")
    for number in range(count):
        gateway.enqueue_request("lincoln", "GET", f"{path}/{number}", timeout=3600)
    scene.work("lincoln")
    audit.seal(scene.runtime)
    while count_next(scene.runtime.database):
        pass


def test_errors_that_are_alike_are_one_pattern(scene: Scene) -> None:
    """With its count and times, and no name."""
    scene.load("lincoln", 2)
    fail(scene, 4)
    (pattern,) = scene.gateway.errors.list()
    assert (pattern.provider, pattern.code, pattern.status) == ("lincoln", "provider_refused", 404)
    assert (pattern.count, pattern.state, pattern.trend) == (4, "open", "rising")
    assert CANARY.lower() not in str(pattern).lower()
    assert "not found" in pattern.message
    assert scene.gateway.errors.get(pattern.id[:7]).last_job == pattern.last_job
    assert sum(scene.gateway.errors.history(pattern.id).values()) == 4
    while count_next(scene.runtime.database):
        pass
    assert scene.gateway.errors.get(pattern.id).count == 4
    with pytest.raises(UnknownErrorPattern):
        scene.gateway.errors.get("er_none")


def test_what_was_fixed_and_comes_back_is_open_again(scene: Scene) -> None:
    """It says in what it was taken to be fixed."""
    fail(scene, 2)
    (pattern,) = scene.gateway.errors.list()
    scene.clock.advance(60)
    done = scene.gateway.errors.resolve(pattern.id, fixed_in="portal 2.1", actor="ana")
    assert (done.state, done.resolved_by, done.fixed_in) == ("resolved", "ana", "portal 2.1")
    assert scene.gateway.errors.list() == []
    scene.clock.advance(60)
    fail(scene, 1)
    (again,) = scene.gateway.errors.list()
    assert (again.id, again.count, again.fixed_in) == (pattern.id, 3, "portal 2.1")
    assert again.reopened_at is not None


def test_new_patterns_and_spikes_fire(scene: Scene) -> None:
    """A pattern is new for half an hour; far more of it than usual is a spike."""
    alerts = scene.gateway.alerts
    fail(scene, 2)
    fail(scene, 2, "/gone")
    (new,) = [each for each in alerts.evaluate().changed if each.rule == "errors-new"]
    assert new.message == "an error of lincoln is new: it answered 410 (provider_refused)"
    scene.clock.advance(timedelta(hours=2).total_seconds())
    assert {e.rule for e in alerts.evaluate().changed if e.state == "resolved"} >= {"errors-new"}
    fail(scene, 30)
    (spike,) = [each for each in scene.gateway.errors.list() if each.is_spike]
    assert spike.lately == 30
    scene.clock.advance(INTERVAL_SECONDS)
    fired = [each for each in alerts.evaluate().changed if each.rule == "errors-spike"]
    assert [each.provider for each in fired] == ["lincoln"]
    assert CANARY not in str(fired)
    scene.clock.advance(timedelta(minutes=6).total_seconds())
    assert not [each for each in scene.gateway.errors.list() if each.is_spike]


def test_what_is_nobody_elses_alarms_nobody(scene: Scene) -> None:
    """An app that asks for what is not there, and a token that was replaced: they are listed."""
    fail(scene, 2)
    now = scene.clock.now()
    with scene.runtime.database.write() as session:
        session.add(
            ErrorPattern(
                id="er_1", provider="lincoln", endpoint="e", code="token_expired", status=401,
                message="token … expired", count=1, first_seen=now, last_seen=now, state="open",
            )
        )  # fmt: skip
    assert {each.status for each in scene.gateway.errors.list()} == {401, 404}
    assert "errors-new" not in {each.rule for each in scene.gateway.alerts.evaluate().changed}
