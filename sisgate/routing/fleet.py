"""What the fleet knows about a provider's endpoints: running calls, latency, failures, health.

Stored in Redis, with one Lua script per operation, by the `TIME` of Redis. A running call counts
until it or its lease ends, so a worker that dies leaves nothing behind.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sisgate.clock import Clock
from sisgate.domain.response_class import Outcome
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import ROUTES, RUNNING_CALLS
from sisgate.redis.scripts import ProviderScripts, ScriptCall
from sisgate.routing.outliers import EndpointHistory, RoutingSpec, eject_seconds, most_ejected


@dataclass(frozen=True, slots=True)
class Known:
    """The known state of one endpoint. `back_seconds` None: it was never ejected.

    An endpoint that fails its health checks is `unwell`, and ejected too. `checked_seconds` is how
    long ago the last check was, None for never.
    """

    record: EndpointHistory
    in_flight: int
    latency_seconds: float | None
    unwell: bool
    back_seconds: float | None
    checked_seconds: float | None


@dataclass(frozen=True, slots=True)
class RunningCall:
    """One running call of an endpoint, until it or its lease ends.

    It has no round trips of its own: its scripts run with those of the circuit breaker.
    """

    scripts: ProviderScripts
    endpoint: str
    lease_seconds: float
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def begin(self) -> ScriptCall:
        """Return the script that counts the call as running."""
        return self.scripts.call(
            "begin", self.endpoint, self.token, round(self.lease_seconds * 1000)
        )

    def end(self, outcome: Outcome, took_seconds: float) -> ScriptCall:
        """Return the script that records the call's end; a neutral outcome has no effect."""
        return self.scripts.call(
            "finish", self.endpoint, self.token, outcome.value, repr(took_seconds * 1000)
        )


class FleetEndpoints:
    """The endpoints of one provider. Safe to share between threads.

    Every method raises `BrokerUnavailable` when Redis cannot be reached. `script_clock` replaces
    the time of Redis in tests.
    """

    def __init__(
        self,
        redis: RedisClient,
        provider: str,
        endpoints: Sequence[str],
        spec: RoutingSpec,
        *,
        script_clock: Clock | None = None,
    ) -> None:
        self.endpoints = tuple(endpoints)
        self.spec = spec
        running = (RUNNING_CALLS(provider=provider, endpoint=url) for url in self.endpoints)
        head = (_encoded(spec), json.dumps(self.endpoints))
        keys = (ROUTES(provider=provider), *running)
        self._scripts = ProviderScripts(redis, "routing", keys, head, script_clock)

    def look(self, *, take_turn: bool = False) -> tuple[int, list[Known]]:
        """Return the turn and the state of each endpoint, in order."""
        return self.read(self._scripts.run("read", int(take_turn)))

    def look_call(self) -> ScriptCall:
        """Return the script of `look`, to run together with others."""
        return self._scripts.call("read", 0)

    def take_turn_call(self) -> ScriptCall:
        """Return the script that takes a turn and reads, to run together with others."""
        return self._scripts.call("read", 1)

    def read(self, answer: bytes) -> tuple[int, list[Known]]:
        """Return the turn and the states in the reply of that script."""
        reply = json.loads(answer)
        return int(reply["turn"]), [_known(raw) for raw in reply["endpoints"]]

    def running_call(self, endpoint: str, lease_seconds: float) -> RunningCall:
        """Return a call of an endpoint, to be counted as running."""
        return RunningCall(self._scripts, endpoint, lease_seconds)

    def eject(self, record: EndpointHistory) -> bool:
        """Eject an outlier; return whether this call did it.

        The cap holds even when many workers decide at once.
        """
        lasts_ms = round(eject_seconds(self.spec, record.ejections + 1) * 1000)
        most = most_ejected(len(self.endpoints), self.spec.most_ejected)
        return bool(self._scripts.run("eject", record.url, record.ejections, lasts_ms, most))

    def note_check(
        self, endpoint: str, *, good: bool, holds: float
    ) -> Literal["well", "unwell", ""]:
        """Record a health check; return what it changed.

        `check_fall` failures in a row make an endpoint unwell; `check_rise` successes, or `holds`
        seconds without a check, make it well again.
        """
        answer: Any = self._scripts.run("check", endpoint, int(good), round(holds * 1000))
        return "well" if answer == b"well" else "unwell" if answer == b"unwell" else ""


def _encoded(spec: RoutingSpec) -> str:
    return json.dumps(
        {
            "window": round(spec.window_seconds * 1000),
            "decay": spec.decay_seconds * 1000,
            "forgive": round(2 * spec.eject_cap_seconds * 1000),
            "fall": spec.check_fall,
            "rise": spec.check_rise,
        },
        separators=(",", ":"),
    )


def _known(raw: dict[str, Any]) -> Known:
    record = EndpointHistory(
        url=raw["url"],
        calls=int(raw["calls"]),
        failures=int(raw["failures"]),
        ejections=int(raw["ejections"]),
        ejected=raw["ejected"],
    )
    latency, back, checked = raw["latency"], raw["back"], raw["checked"]
    return Known(
        record=record,
        in_flight=int(raw["in_flight"]),
        latency_seconds=None if latency < 0 else latency / 1000,
        unwell=raw["unwell"],
        back_seconds=None if back < 0 else back / 1000,
        checked_seconds=None if checked < 0 else checked / 1000,
    )
