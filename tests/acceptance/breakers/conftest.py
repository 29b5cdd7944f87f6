"""A provider that can be down, and fleets around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.admission.fleet import Fleet
from tests.acceptance.breakers.failing import FailingRecorder

MakeFleet = Callable[..., Fleet]


@pytest.fixture
def endpoints() -> str:
    """The provider's endpoints, a letter each."""
    return "a"


@pytest.fixture
def recorder(endpoints: str) -> Iterator[FailingRecorder]:
    """The provider of this test."""
    server = FailingRecorder(endpoints)
    yield server
    server.stop()


@pytest.fixture
def make_fleet(tmp_path: Path, redis_url: str, recorder: FailingRecorder) -> Iterator[MakeFleet]:
    """Make a fleet of the providers given as name and lines of configuration; it ends by itself."""
    with ExitStack() as fleets:

        def make(**providers: str) -> Fleet:
            fleet = fleets.enter_context(Fleet(tmp_path, redis_url, recorder, providers))
            fleet.begin_counting()
            return fleet

        yield make
