"""A recording provider, a Redis that can be killed, and fleets around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.admission.fleet import Fleet
from tests.acceptance.admission.recorder import Recorder
from tests.servers.mortal import MortalRedis

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


@pytest.fixture
def mortal_redis() -> Iterator[MortalRedis]:
    """A Redis of this test's own."""
    server = MortalRedis()
    yield server
    server.stop()
