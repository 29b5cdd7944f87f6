"""Beat's messages go by no wall clock, and do not pile up where nobody takes them."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from pydantic import SecretStr
from redis import Redis

from beat_schedule import beat_schedule
from sisgate.broker import celery_app
from sisgate.redis.keys import WAITING_TASK
from sisgate.settings import load_settings
from testbed.clock import ManualClock
from workers.runtime import RUNTIME, RuntimeOfProcess
from workers.task_types import SteadyScheduler

EACH_SECOND = "sisgate.audit.seal"


@pytest.fixture
def app(tmp_path: Path, redis_url: str) -> Iterator[Celery]:
    """An app with the fleet's tasks, which Celery shares among the apps of a process."""
    (tmp_path / "sisgate.toml").touch()
    settings = load_settings(tmp_path / "sisgate.toml", data_dir=tmp_path)
    settings = settings.model_copy(update={"broker_url": SecretStr(redis_url)})
    app = celery_app(settings, redis_url)
    setattr(app, RUNTIME, RuntimeOfProcess(settings))
    app.conf.beat_schedule = beat_schedule
    yield app
    app.close()


def messages(redis: Redis) -> list[dict[str, Any]]:
    """Take all messages off the planner's queue; return their headers."""
    taken = []
    while (text := redis.rpop("sisgate")) is not None:
        assert isinstance(text, bytes)
        taken.append(json.loads(text)["headers"])
    return taken


def test_each_task_is_sent_at_its_interval(app: Celery, redis: Redis) -> None:
    """Also those that run seldom, soon after beat was started; and no message has an end."""
    clock = ManualClock()
    beat = SteadyScheduler(app, clock=clock)
    seen: Counter[str] = Counter()
    for _ in range(200):
        seconds = beat.tick()
        for headers in messages(redis):
            seen[headers["task"]] += 1
            assert headers["expires"] is None
            assert headers["eta"] is None
        redis.delete(*redis.scan_iter(WAITING_TASK(task="*")), "none")  # taken
        clock.advance(max(seconds, 0.5))
    assert {entry["task"] for entry in beat_schedule.values()} == set(seen)
    assert 190 <= seen[EACH_SECOND] <= 201
    assert seen["sisgate.retention"] == 2


def test_of_each_task_one_message_waits_at_most(app: Celery, redis: Redis) -> None:
    """A planner that comes back has nothing to catch up on; then the next one is sent."""
    clock = ManualClock()
    beat = SteadyScheduler(app, clock=clock)
    for _ in range(20):
        clock.advance(1)
        beat.tick()
    waiting = Counter(headers["task"] for headers in messages(redis))
    assert EACH_SECOND in waiting
    assert set(waiting.values()) == {1}
    app.tasks[EACH_SECOND].before_start("id", (), {})
    clock.advance(1)
    beat.tick()
    assert [headers["task"] for headers in messages(redis)] == [EACH_SECOND]
