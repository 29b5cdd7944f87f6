"""The specification of a provider's limits."""

import json

import pytest

from sisgate.admission.limiter import Limiter
from sisgate.admission.spec import LimitSpec, encode_spec
from sisgate.admission.state import OFF_PERMIT
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.redis.client import RedisClient


@pytest.mark.parametrize(
    "wrong",
    [
        {"burst": 0},
        {"lease_seconds": 0},
        {"min_interval_seconds": -1},
        {"reserves": {Priority.LOW: 1.0}},
    ],
)
def test_limits_that_cannot_hold_are_refused(wrong: dict) -> None:
    """A wrong number is told when the specification is made."""
    with pytest.raises(ValueError, match=r"is at least|is positive|is a share"):
        LimitSpec((Rate(10, 1),), **wrong)


def test_scripts_read_milliseconds() -> None:
    """The specification crosses to Redis as JSON with times in milliseconds."""
    spec = LimitSpec((Rate(20, 1),), min_interval_seconds=0.5, lease_seconds=30)
    text = json.loads(encode_spec(spec, concurrency=3))
    assert text["windows"] == [[20, 1000]]
    assert (text["interval"], text["lease"], text["concurrency"]) == (500, 30_000, 3)


@pytest.mark.parametrize("spec", [None, LimitSpec(())])
def test_no_limits_need_no_redis(spec: LimitSpec | None) -> None:
    """Without limits permits are free and no round trip is made: here no Redis could answer."""
    limiter = Limiter(RedisClient())
    grant = limiter.take("p", spec, Priority.LOW, 3)
    limiter.finish("p", grant.permits[0])
    limiter.hand_back("p", grant.permits[1])
    assert grant.permits == (OFF_PERMIT,) * 3
    assert grant.reason == "off"
