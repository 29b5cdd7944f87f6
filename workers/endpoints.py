"""Routing a call: choose an endpoint, pass its breaker, and learn from the outcome."""

import random
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from sisgate.breakers.breaker import BreakerCall, BreakerOpen, FleetBreaker
from sisgate.breakers.fleet import FleetBreakers
from sisgate.breakers.spec import BreakerView, State
from sisgate.clock import Clock
from sisgate.domain.response_class import Outcome
from sisgate.errors import BrokerUnavailable, CircuitOpen
from sisgate.logs import get_logger
from sisgate.redis.client import RedisClient
from sisgate.redis.scripts import run_scripts
from sisgate.routing.endpoints import members, rules_of
from sisgate.routing.fleet import FleetEndpoints, Known
from sisgate.routing.outliers import RoutingSpec, outliers
from sisgate.routing.strategies import STRATEGIES, Availability, Candidate, Snapshot, ramp_up_after
from sisgate.settings import Endpoint, ProviderConfig

log = get_logger()

LONGEST_WAIT_SECONDS = 600.0
"""How soon a pin without an end is checked again."""


@dataclass(frozen=True)
class Route:
    """One call to one endpoint, inside its breaker. `with route: …` guards the request.

    The body's judgement is reported to breaker and routing. A body that raises says nothing about
    the endpoint. A Redis that is down is only logged.
    """

    breaker: FleetBreaker
    call: BreakerCall
    guard: ExitStack

    @property
    def url(self) -> str:
        """The endpoint's base URL."""
        return self.breaker.endpoint

    @property
    def is_probe(self) -> bool:
        """Whether the call tests if the endpoint has recovered."""
        return self.call.token.probe > 0

    def __enter__(self) -> BreakerCall:
        return self.call

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the breaker, even if no call was made."""
        self.guard.close()


class ProviderEndpoints:
    """The endpoints of one provider, as one process uses them."""

    def __init__(
        self,
        redis: RedisClient,
        config: ProviderConfig,
        breakers: FleetBreakers,
        *,
        rng: random.Random | None = None,
        script_clock: Clock | None = None,
    ) -> None:
        self._redis = redis
        self._config = config
        self._rng = rng or random.Random()
        self._rules = rules_of(config.kind, config.paths)
        self._strategy = STRATEGIES[config.strategy]
        urls = [endpoint.url for endpoint in config.endpoints]
        self._fleet = FleetEndpoints(
            redis, config.name, urls, RoutingSpec(), script_clock=script_clock
        )
        self.breakers = breakers
        self._breakers = {url: FleetBreaker(breakers, url) for url in urls}

    def open(self, path: str, tried: Collection[str] = (), *, may_probe: bool = True) -> Route:
        """Choose an endpoint for a path, not one of `tried`, and begin a call inside its breaker.

        Without `may_probe`, an endpoint due for a probe is chosen only if no other is usable.
        Raises `CircuitOpen` with the seconds to wait when no endpoint that serves the path may be
        called now, and `BrokerUnavailable`.
        """
        serving = [
            endpoint
            for endpoint in members(path, self._config.endpoints, self._rules)
            if endpoint.url not in tried
        ]
        waits = [float("inf")]
        while serving:
            url = self._choose(serving, may_probe)
            if url is None:
                views, urls = self.breakers.views(), {endpoint.url for endpoint in serving}
                waits += [view.wait_seconds for view in views if view.endpoint in urls]
                break
            try:
                return self._begin(self._breakers[url])
            except BreakerOpen as refused:
                # Another worker was faster, or its state was unknown.
                waits.append(refused.seconds)
                serving = [endpoint for endpoint in serving if endpoint.url != url]
        raise CircuitOpen(
            f"No endpoint of {self._config.name} that serves {path} may be called now.",
            seconds=min(waits),
        )

    def note_check(self, url: str, *, good: bool, holds: float) -> str:
        """Record a health check; return `well` or `unwell` if that changed, else `""`."""
        return self._fleet.note_check(url, good=good, holds=holds)

    def open_seconds(self) -> float:
        """Return how long no endpoint may be called; 0 if one may be, or if it is unknown."""
        try:
            return min(self.breakers.open_seconds() or 0.0, LONGEST_WAIT_SECONDS)
        except BrokerUnavailable:
            return 0.0

    def note_no_call(self) -> None:
        """Report that a message was consumed without calling any endpoint."""
        with suppress(BrokerUnavailable):
            self.breakers.refresh_gate()

    def _choose(self, serving: Sequence[Endpoint], may_probe: bool) -> str | None:
        if len(self._config.endpoints) == 1:
            return serving[0].url
        snapshot = self._snapshot(serving)
        if snapshot.probes and (may_probe or not snapshot.usable):
            return snapshot.probes[0].url
        choice = self._strategy(snapshot, self._rng)
        return choice.url if choice else None

    def _begin(self, breaker: FleetBreaker) -> Route:
        guard = ExitStack()
        return Route(breaker, guard.enter_context(self._guarded(breaker)), guard)

    @contextmanager
    def _guarded(self, breaker: FleetBreaker) -> Iterator[BreakerCall]:
        running = None
        if len(self._config.endpoints) > 1:
            running = self._fleet.running_call(breaker.endpoint, self._config.lease)
        with breaker.calling(running) as call:
            call.judge(Outcome.NEUTRAL)
            yield call
        if running is not None and call.outcome is Outcome.FAILURE:
            with suppress(BrokerUnavailable):
                self._eject_outliers()

    def _snapshot(self, serving: Sequence[Endpoint]) -> Snapshot:
        calls = [self._fleet.take_turn_call(), self.breakers.views_call()]
        of_routing, of_breakers = run_scripts(self._redis, calls)
        turn, known = self._fleet.read(of_routing)
        by_url = {k.record.url: k for k in known}
        views = {view.endpoint: view for view in self.breakers.read_views(of_breakers)}
        slow_start = self._fleet.spec.slow_start_seconds
        return Snapshot(
            tuple(_candidate(e, by_url[e.url], views[e.url], slow_start) for e in serving), turn
        )

    def _eject_outliers(self) -> None:
        _, known = self._fleet.look()
        for record in outliers([k.record for k in known], self._fleet.spec):
            if self._fleet.eject(record):
                log.warning(
                    "endpoint_ejected",
                    provider=self._config.name,
                    endpoint=record.url,
                    calls=record.calls,
                    failures=record.failures,
                )


def _candidate(
    endpoint: Endpoint, known: Known, view: BreakerView, slow_start_seconds: float
) -> Candidate:
    back = [s for s in (known.back_seconds, view.closed_seconds) if s is not None]
    return Candidate(
        url=endpoint.url,
        weight=endpoint.weight,
        availability=_availability(view),
        ejected=known.record.ejected,
        in_flight=known.in_flight,
        latency_seconds=known.latency_seconds,
        ramp_up=ramp_up_after(min(back, default=None), slow_start_seconds),
    )


def _availability(view: BreakerView) -> Availability:
    if view.state is State.CLOSED:
        return Availability.OPEN_TO_ALL
    return Availability.PROBE if view.wait_seconds <= 0 else Availability.SHUT
