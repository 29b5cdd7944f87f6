"""How often Redis is asked for the way of one call: routing and breaker go together."""

from typing import Any

import pytest

from sisgate.breakers.breaker import BreakerOpen, FleetBreaker
from sisgate.breakers.fleet import FleetBreakers
from sisgate.breakers.spec import BreakerSpec, State
from sisgate.domain.response_class import Outcome
from sisgate.redis.client import RedisClient, RedisPipeline
from sisgate.routing.fleet import FleetEndpoints
from sisgate.routing.outliers import RoutingSpec
from sisgate.settings import Endpoint, ProviderConfig
from workers.endpoints import ProviderEndpoints

A, B = "https://a.test", "https://b.test"


class Trips:
    """Counts what is sent to Redis and waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for kind, name in ((RedisClient, "execute_command"), (RedisPipeline, "execute")):
            self._watch(monkeypatch, kind, name)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, kind: type, name: str) -> None:
        ask = getattr(kind, name)

        def counted(client: Any, *args: Any, **options: Any) -> Any:
            self.count += bool(getattr(client, "command_stack", True))
            return ask(client, *args, **options)

        monkeypatch.setattr(kind, name, counted)


def endpoints_of(redis: RedisClient, *urls: str) -> ProviderEndpoints:
    """Return the endpoints of a provider, whose scripts Redis has already."""
    config = ProviderConfig(
        name="lincoln",
        kind="oneroster",
        auth="none",
        endpoints=tuple(Endpoint(url=url) for url in urls),
    )
    made = ProviderEndpoints(
        redis, config, FleetBreakers(redis, "lincoln", urls, BreakerSpec.of(config))
    )
    with made.open("/x") as call:
        call.judge(Outcome.SUCCESS, 0.1)
    return made


@pytest.mark.parametrize(("urls", "trips"), [((A,), 2), ((A, B), 3)])
def test_the_way_of_one_call(
    redis: RedisClient, monkeypatch: pytest.MonkeyPatch, urls: tuple[str, ...], trips: int
) -> None:
    """Choose where there is a choice, ask, report: one round trip each."""
    endpoints = endpoints_of(redis, *urls)
    made = Trips(monkeypatch)
    with endpoints.open("/x") as call:
        call.judge(Outcome.SUCCESS, 0.1)
    assert made.count == trips


def test_a_refused_call_does_not_count_as_running(redis: RedisClient) -> None:
    """It began in the round trip in which it was refused."""
    breakers = FleetBreakers(redis, "lincoln", (A, B), BreakerSpec())
    routing = FleetEndpoints(redis, "lincoln", (A, B), RoutingSpec())
    breakers.pin(A, State.OPEN)
    refused = FleetBreaker(breakers, A).calling(routing.running_call(A, 60))
    with pytest.raises(BreakerOpen), refused:
        pass
    assert [known.in_flight for known in routing.look()[1]] == [0, 0]
