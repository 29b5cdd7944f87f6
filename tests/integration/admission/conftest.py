"""The limiter on a real Redis, with time that moves only when a test moves it."""

import pytest

from sisgate.admission.limiter import Limiter
from sisgate.redis.client import RedisClient
from testbed.clock import ManualClock


@pytest.fixture
def limiter(redis: RedisClient, clock: ManualClock) -> Limiter:
    """A limiter whose scripts read the time of the test."""
    return Limiter(redis, script_clock=clock)
