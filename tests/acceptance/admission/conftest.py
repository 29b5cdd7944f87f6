"""A recording provider, a Redis that can be killed, and fleets around them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from sisgate.clock import poll_until
from sisgate.embedded.redis_binary import find_redis_server
from sisgate.embedded.redis_conf import HOST, free_port
from tests.acceptance.admission.fleet import CLOCK, PATIENCE_SECONDS, Fleet
from tests.acceptance.admission.recorder import Recorder

MakeFleet = Callable[..., Fleet]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """The provider of this test."""
    server = Recorder()
    yield server
    server.stop()


@pytest.fixture
def make_fleet(
    tmp_path: Path, redis_url: str, recorder: Recorder, request: pytest.FixtureRequest
) -> Iterator[MakeFleet]:
    """Make a fleet of the providers given as name and lines of configuration; it ends by itself."""
    with ExitStack() as fleets:

        def make(*, url: str = redis_url, **providers: str) -> Fleet:
            fleet = fleets.enter_context(Fleet(tmp_path, url, recorder, providers))
            fleet.begin_counting()
            return fleet

        yield make


class MortalRedis:
    """A Redis with an append-only file that a test can kill and start again on its port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"redis://{HOST}:{self._port}/0"
        self.start()

    def start(self) -> None:
        """Start it and return when it answers."""
        self._process = subprocess.Popen(
            [
                str(find_redis_server()),
                *("--bind", HOST, "--port", str(self._port), "--dir", str(self._folder)),
                *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
            ],
            stdout=subprocess.DEVNULL,
        )
        client = redis.Redis.from_url(self.url)
        ready = poll_until(
            lambda: self._answers(client), clock=CLOCK, timeout_seconds=PATIENCE_SECONDS
        )
        client.close()
        assert ready, "Redis did not start"

    def kill(self) -> None:
        """SIGKILL it."""
        self._process.kill()
        self._process.wait()

    def _answers(self, client: redis.Redis) -> bool:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


@pytest.fixture
def mortal_redis(tmp_path: Path) -> Iterator[MortalRedis]:
    """A Redis of this test's own."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = MortalRedis(folder)
    yield server
    server.kill()
