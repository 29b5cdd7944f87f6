"""The circuit breakers of a provider: their state, and pinning them by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sisgate.access.policy import Action
from sisgate.audit import log as audit
from sisgate.breakers.spec import BreakerView, State
from sisgate.domain.validation import aware, chosen
from sisgate.errors import UsageError
from sisgate.gateway.applied_controls import apply_control
from sisgate.gateway.core import Core
from sisgate.ledger import call_queue, controls
from sisgate.ledger.controls import Pin
from sisgate.ledger.schema import Control
from sisgate.redis.scripts import run_scripts
from sisgate.routing.endpoints import endpoints_named, short_name
from sisgate.routing.fleet import FleetEndpoints
from sisgate.routing.outliers import RoutingSpec
from sisgate.settings import ProviderConfig

STATES: dict[str, State | None] = {
    "open": State.OPEN,
    "close": State.CLOSED,
    "half-open": State.HALF_OPEN,
    "auto": None,
}
"""The settings by hand, with the state that each pins; None ends a pin."""


@dataclass(frozen=True)
class EndpointStatus:
    """One endpoint: its breaker and its state in routing.

    `number` is its place in the configuration, from 1. `unwell`: it fails its health checks.
    `ejected`: it gets no calls while another endpoint can take them. `checked_seconds`
    is the age of its last health check, None for none.
    """

    number: int
    breaker: BreakerView
    ejected: bool
    unwell: bool
    checked_seconds: float | None

    @property
    def short_name(self) -> str:
        """The host or a short form of it."""
        return short_name(self.breaker.endpoint)

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "number": self.number,
            **self.breaker.as_dict(),
            "ejected": self.ejected,
            "unwell": self.unwell,
            "checked_seconds": self.checked_seconds,
        }


def read_standings(
    core: Core, configs: Sequence[ProviderConfig]
) -> dict[str, Sequence[EndpointStatus]]:
    """Return each endpoint's state by provider, in one round trip; `BrokerUnavailable`.

    The endpoints of a provider are in the order of the configuration.
    """
    breakers = [core.context.breakers(each) for each in configs]
    routes = [
        FleetEndpoints(core.redis, each.provider, each.endpoints, RoutingSpec())
        for each in breakers
    ]
    calls = [each.views_call() for each in breakers] + [each.look_call() for each in routes]
    answers = run_scripts(core.redis, calls)
    found: dict[str, Sequence[EndpointStatus]] = {}
    for breaker, views, route, known in zip(
        breakers, answers, routes, answers[len(breakers) :], strict=False
    ):
        pairs = zip(breaker.read_views(views), route.read(known)[1], strict=True)
        found[breaker.provider] = [
            EndpointStatus(number, view, seen.record.ejected, seen.unwell, seen.checked_seconds)
            for number, (view, seen) in enumerate(pairs, start=1)
        ]
    return found


class ProviderBreakers:
    """The breakers of one provider. Each change is stored, audited and applies to the fleet.

    A pin fixes the state of a breaker, whatever the results of its calls, until a time or `auto`.
    It is written to the ledger, then to Redis. If Redis is away or wiped, the reconciler writes it
    later, and `holds_now` is False until then. Methods raise `DatabaseUnavailable`, and those that
    only read `BrokerUnavailable`.
    """

    def __init__(self, core: Core, config: ProviderConfig) -> None:
        self._core = core
        self._config = config
        self._urls = [endpoint.url for endpoint in config.endpoints]
        self._breakers = core.context.breakers(config)
        self.holds_now = True
        """Whether Redis, and so the fleet, has the last pin set here."""

    def standings(self) -> Sequence[EndpointStatus]:
        """Return the state of each endpoint, in the order of the configuration."""
        self._core.access.require_any(Action.LOOK, self._config.name)
        return read_standings(self._core, [self._config])[self._config.name]

    def set(
        self,
        word: str,
        endpoint: str | None = None,
        *,
        until: datetime | None = None,
        actor: str,
        reason: str | None = None,
    ) -> list[str]:
        """Pin breakers `open`, `close` or `half-open`, or end their pins with `auto`.

        Applies to all endpoints, or to one `endpoint` by number, host or URL. The pin ends at
        `until` (aware). Returns the URLs of changed endpoints. Raises `UsageError` for an unknown
        word or endpoint and for a time in the past.
        """
        name = self._config.name
        principal = self._core.access.require(Action.CONTROL, name)
        actor = principal.token_actor or actor
        now = self._core.clock.now()
        pin = self._pin(word, until, now)
        urls = self._named(endpoint)
        with self._core.database.write() as session:
            control = controls.lock(session, name, now)
            before = controls.pins_of(control, now)
            changed = [url for url in urls if before.get(url) != pin]
            after = {url: kept for url, kept in before.items() if url not in urls}
            after |= dict.fromkeys(urls, pin) if pin else {}
            if changed:
                control.pins = controls.stored_pins(after)
                controls.note_setter(control, "breaker", actor, now, reason)
            if word != "open":
                call_queue.make_due(session, [name], now)
            for url in changed:
                audit.record(
                    session, now, actor=actor, subject=name, reason=reason,
                    action=f"breaker:endpoint:{'pin' if pin else 'unpin'}", endpoint=url,
                    state=word, until=until.isoformat() if until else None,
                )  # fmt: skip
        self._apply(now)
        return changed

    def _apply(self, now: datetime) -> None:
        def write(control: Control) -> None:
            pins = controls.pins_of(control, now).items()
            self._breakers.set_pins({url: (State(pin.state), pin.until) for url, pin in pins})

        # Even if nothing changed: Redis may lack it.
        self.holds_now = apply_control(self._core, self._config.name, write)

    def _pin(self, word: str, until: datetime | None, now: datetime) -> Pin | None:
        state = STATES[chosen("state", STATES, word)]
        if until is not None and state is None:
            raise UsageError("`auto` ends a pin now, so it takes no end.")
        until = aware("until", until)
        if until is not None and until <= now:
            raise UsageError(f"The end of the pin, {until.isoformat()}, has already passed.")
        return Pin(state.value, until) if state is not None else None

    def _named(self, endpoint: str | None) -> Sequence[str]:
        if endpoint is None:
            return self._urls
        matches = endpoints_named(endpoint, self._urls)
        if len(matches) == 1:
            return matches
        names = ", ".join(f"{i} ({short_name(url)})" for i, url in enumerate(self._urls, start=1))
        problem = "may mean several endpoints" if matches else "is not an endpoint"
        raise UsageError(f"{endpoint!r} {problem} of {self._config.name}; it has {names}.")
