"""The breakers of a provider, stored in Redis for the whole fleet.

Each operation is one Lua script and one round trip; the clock is the `TIME` of Redis.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sisgate.breakers.spec import BreakerSpec, BreakerToken, BreakerView, State, Transition
from sisgate.clock import Clock
from sisgate.domain.response_class import Outcome
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import BREAKER_COUNTS, BREAKER_JOURNAL, BREAKERS, PROBE_GATE
from sisgate.redis.scripts import Argument, ProviderScripts, ScriptCall, run_scripts


@dataclass(frozen=True, slots=True)
class Permission:
    """The reply of `ask`: a token, or None and how long there will be none."""

    token: BreakerToken | None
    state: State
    wait_seconds: float
    transitions: tuple[Transition, ...]


class FleetBreakers:
    """The breakers of one provider's endpoints. Safe to share between threads.

    Every method raises `BrokerUnavailable` when Redis cannot be reached: the caller then has no
    token and makes no call, and all resumes when Redis is back. A report may have been recorded or
    not. Each transition is returned to exactly one caller in the fleet, the one whose `ask` or
    `report` caused it. `script_clock` replaces the time of Redis, and `draw` the random numbers of
    the jitter, in tests.
    """

    def __init__(
        self,
        redis: RedisClient,
        provider: str,
        endpoints: Sequence[str],
        spec: BreakerSpec,
        *,
        script_clock: Clock | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if not endpoints:
            raise ValueError("a provider has at least one endpoint")
        self.provider = provider
        self.endpoints = tuple(endpoints)
        self.spec = spec
        families = (BREAKERS, PROBE_GATE, BREAKER_JOURNAL, BREAKER_COUNTS)
        keys = [family(provider=provider) for family in families]
        head = (spec.encoded, json.dumps(self.endpoints))
        self._scripts = ProviderScripts(redis, "breakers", keys, head, script_clock)
        self._draw = draw

    def ask(self, endpoint: str, *alongside: ScriptCall) -> Permission:
        """Ask to call an endpoint. Every token must be followed by a `report`.

        `alongside` are other scripts to run in the same round trip.
        """
        answer = self._run("ask", endpoint, alongside=alongside)
        token = None
        if "generation" in answer:
            token = BreakerToken(int(answer["generation"]), int(answer["probe"]))
        wait = 0.0 if token else _seconds(answer["wait"])
        return Permission(token, State(answer["state"]), wait, _transitions(answer))

    def report(
        self,
        endpoint: str,
        token: BreakerToken,
        outcome: Outcome,
        took_seconds: float = 0.0,
        *alongside: ScriptCall,
    ) -> tuple[Transition, ...]:
        """Report a call's outcome. A neutral one passes a probe's turn to the next call."""
        answer = self._run(
            "report",
            endpoint,
            token.generation,
            token.probe,
            outcome.value,
            repr(took_seconds * 1000),
            repr(self._draw()),
            alongside=alongside,
        )
        return _transitions(answer)

    def pin(
        self, endpoint: str, state: State, until: datetime | None = None
    ) -> tuple[Transition, ...]:
        """Fix the state by hand, until a time or until `unpin`; no traffic moves it."""
        end = "" if until is None else f"{until.timestamp() * 1000:.0f}"
        return _transitions(self._run("pin", endpoint, state.value, end))

    def unpin(self, endpoint: str) -> tuple[Transition, ...]:
        """Let traffic change the pinned state again; an open one is due for a probe immediately."""
        return _transitions(self._run("pin", endpoint, "auto", ""))

    def set_pins(self, pins: Mapping[str, tuple[State, datetime | None]]) -> bool:
        """Set the pins by endpoint and remove all others; return whether anything changed.

        A pin already in place is left alone, so repeating it causes no transition. Pins of unknown
        endpoints are ignored.
        """
        changes = 0
        for view in self.views():
            pin = pins.get(view.endpoint)
            if pin is not None and not _is_pinned_so(view, *pin):
                changes += len(self.pin(view.endpoint, *pin))
            elif pin is None and view.pinned:
                changes += len(self.unpin(view.endpoint))
        return changes > 0

    def views(self) -> list[BreakerView]:
        """Return the state of each endpoint's breaker, without changing it."""
        return self.read_views(self._scripts.run("views"))

    def views_call(self) -> ScriptCall:
        """Return the script of `views`, to run together with others."""
        return self._scripts.call("views")

    def read_views(self, answer: bytes) -> list[BreakerView]:
        """Return the views in the reply of that script."""
        return [_view(raw) for raw in json.loads(answer)]

    def run(self, call: ScriptCall) -> None:
        """Run a companion's script after a refused `ask`."""
        run_scripts(self._scripts.client, [call])

    def refresh_gate(self) -> bool:
        """Rewrite the probe gate from the breakers; return whether there is one.

        For a message that was taken as a probe and then made no call.
        """
        return bool(self._run("refresh"))

    def open_seconds(self) -> float | None:
        """Return how long no endpoint may be called, None while one is closed."""
        first = first_to_pass(self.views())
        return None if first is None else first.wait_seconds

    def _run(self, name: str, *args: Argument, alongside: Sequence[ScriptCall] = ()) -> Any:
        call = self._scripts.call(name, *args)
        answer, *_ = run_scripts(self._scripts.client, [call, *alongside])
        return answer if isinstance(answer, int) else json.loads(answer)


def first_to_pass(views: Sequence[BreakerView]) -> BreakerView | None:
    """Return the breaker that lets a call pass first, None while one is closed."""
    if any(view.state is State.CLOSED for view in views):
        return None
    return min(views, key=lambda view: view.wait_seconds)


def transition_counts(
    redis: RedisClient, providers: Sequence[str]
) -> Mapping[str, Mapping[tuple[str, str, str], int]]:
    """Return each provider's transitions by endpoint, new state and reason, in one round trip.

    They grow until Redis is emptied, and restart then.
    """
    with redis.pipeline(transaction=False) as pipe:
        for provider in providers:
            pipe.hgetall(BREAKER_COUNTS(provider=provider))
        counts: list[dict[bytes, bytes]] = pipe.execute()
    return {
        provider: dict(_read_count(*each) for each in found.items() if each[0][:8] == b"changes|")
        for provider, found in zip(providers, counts, strict=True)
    }


def _read_count(name: bytes, count: bytes) -> tuple[tuple[str, str, str], int]:
    endpoint, state, reason = name.decode().removeprefix("changes|").rsplit("|", 2)
    return (endpoint, state, reason), int(count)


def _transitions(answer: dict[str, Any]) -> tuple[Transition, ...]:
    # An empty list of Lua is an empty object in JSON.
    return tuple(
        Transition(State(before), State(after), reason)
        for before, after, reason in answer["changes"] or ()
    )


def _is_pinned_so(view: BreakerView, state: State, until: datetime | None) -> bool:
    if not view.pinned or view.state is not state:
        return False
    if until is None or view.pinned_until is None:
        return until is view.pinned_until
    # Redis has whole milliseconds.
    return abs(view.pinned_until - until) < timedelta(milliseconds=2)


def _seconds(milliseconds: float) -> float:
    return float("inf") if milliseconds < 0 or milliseconds > 1e15 else milliseconds / 1000


def _moment(milliseconds: float) -> datetime | None:
    return None if milliseconds < 0 else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _view(raw: dict[str, Any]) -> BreakerView:
    return BreakerView(
        endpoint=raw["endpoint"],
        state=State(raw["state"]),
        wait_seconds=_seconds(raw["wait"]),
        generation=int(raw["generation"]),
        failures_in_a_row=int(raw["row"]),
        openings=int(raw["openings"]),
        calls=int(raw["calls"]),
        failures=int(raw["failures"]),
        slow=int(raw["slow"]),
        pinned=raw["pinned"],
        pinned_until=_moment(raw["pin_until"]),
        changed_at=_moment(raw["changed"]),
        closed_seconds=None if raw["closed"] < 0 else raw["closed"] / 1000,
    )
