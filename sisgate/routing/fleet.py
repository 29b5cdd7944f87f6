"""What the fleet knows of a provider's endpoints: running calls, latency, failures, health.

In Redis, one Lua script and one round trip for each operation, by the `TIME` of Redis. A running
call counts until it ends or its lease does, so a worker that dies leaves nothing behind.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sisgate.clock import Clock
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import ROUTES, RUNNING_CALLS
from sisgate.redis.scripts import run_script, script_time
from sisgate.routing.outliers import EndpointHistory, RoutingSpec, eject_seconds, most_ejected

Outcome = Literal["success", "failure", "neutral"]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one endpoint. `back_seconds` None: it never was away.

    `unwell` are those that fail their health checks; they are ejected too. `checked_seconds` tells
    how long ago the last check was, None for never.
    """

    record: EndpointHistory
    in_flight: int
    latency_seconds: float | None
    unwell: bool
    back_seconds: float | None
    checked_seconds: float | None


class FleetEndpoints:
    """The endpoints of one provider. Safe to share between threads.

    Every method raises `BrokerUnavailable` when Redis cannot be reached. `script_clock` stands in
    for the time of Redis in tests.
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
        self._redis = redis
        self._keys = [
            ROUTES(provider=provider),
            *(RUNNING_CALLS(provider=provider, endpoint=url) for url in self.endpoints),
        ]
        self._script_clock = script_clock
        self._head = [_encoded(spec), json.dumps(self.endpoints)]

    def look(self, *, take_turn: bool = False) -> tuple[int, list[Known]]:
        """Return the turn and what is known of each endpoint, in order."""
        answer = json.loads(self._run("look", int(take_turn)))
        return int(answer["turn"]), [_known(raw) for raw in answer["endpoints"]]

    def begin(self, endpoint: str, lease_seconds: float) -> str:
        """Count a call as running until `finish` or the end of its lease; return its token."""
        token = uuid.uuid4().hex
        self._run("begin", endpoint, token, round(lease_seconds * 1000))
        return token

    def finish(self, endpoint: str, token: str, outcome: Outcome, took_seconds: float) -> None:
        """Tell that a call has ended and how; a neutral outcome teaches nothing."""
        self._run("finish", endpoint, token, outcome, repr(took_seconds * 1000))

    def eject(self, record: EndpointHistory) -> bool:
        """Eject what `outliers` found; return whether this call did it.

        The cap holds also when many workers decide at once.
        """
        lasts_ms = round(eject_seconds(self.spec, record.ejections + 1) * 1000)
        most = most_ejected(len(self.endpoints), self.spec.most_ejected)
        return bool(self._run("eject", record.url, record.ejections, lasts_ms, most))

    def note_check(
        self, endpoint: str, *, good: bool, holds: float
    ) -> Literal["well", "unwell", ""]:
        """Note a health check; return what it changed.

        `check_fall` bad ones in a row make an endpoint unwell, `check_rise` good ones well again,
        and so does a time of `holds` seconds without a check.
        """
        answer: Any = self._run("check", endpoint, int(good), round(holds * 1000))
        return "well" if answer == b"well" else "unwell" if answer == b"unwell" else ""

    def _run(self, name: str, *args: str | float) -> Any:
        args = (script_time(self._script_clock), *self._head, *args)
        return run_script(self._redis, f"routing/{name}", self._keys, args)


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
