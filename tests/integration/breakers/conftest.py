"""Breakers on a real Redis, with time that moves only when a test moves it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from sisgate.clock import ManualClock


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client of an empty Redis."""
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    """The time of the test."""
    return ManualClock()
