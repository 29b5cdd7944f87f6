"""The limiter: permits for calls, counted in Redis for the whole fleet.

A permit needs both of two parts. The **sliding window** is the hard cap: a permit counts from its
grant until `period` after its completion, or after the end of its lease if it is never finished.
The provider saw the call somewhere between, so no window of `period` seconds holds more than
`limit` arrivals. Proof: let q be the last permit granted of those that arrive in a window
[s, s + period]. Each other p of them completed at or after s, so at the grant of q it still
counted, and the grant was refused unless fewer than `limit` did. With calls that take L seconds a
backlog therefore uses `period / (period + L)` of the limit. The **token bucket** gives the shape.

Each operation is one Lua script and one round trip. The clock is the `TIME` of Redis.

Missing state is not assumed to be full: `take` returns `unknown` until `rebuild` has received the
calls of the ledger. A permit is used within `PERMIT_USE_SECONDS` or handed back; a rebuild reads
the ledger no sooner than that after the first `unknown`, because by then each permit of the former
epoch that will be used is the claim of a call in the ledger.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sisgate.admission.spec import LimitSpec, concurrency_at, encode_spec, window_pairs
from sisgate.admission.state import (
    OFF_PERMIT,
    Grant,
    LedgerCall,
    LimiterState,
    read_grant,
    read_state,
)
from sisgate.admission.throttle import FACTOR_FLOOR
from sisgate.clock import Clock, SystemClock
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import MAX_BLOCK_SECONDS, Rate
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import CONFIGURATION, LIMIT_STATE, UNKNOWN_LIMITS, limiter_keys
from sisgate.redis.scripts import ScriptCall, run_script, run_scripts, script_time

PERMIT_USE_SECONDS = 2.0
"""A permit unused for this long is handed back."""

MILLISECOND = timedelta(milliseconds=1)

MOST_PERMITS = 1000
"""The most permits of one `take`."""


class Limiter:
    """Grants permits. Safe to share between threads if the Redis client is.

    Every method raises `BrokerUnavailable` when Redis cannot be reached; the operation may then
    have happened or not, and a permit whose grant was lost counts until its lease ends. `clock` is
    for schedules and ages of ledger calls. `script_clock` replaces the `TIME` of Redis in tests.
    """

    def __init__(
        self, redis: RedisClient, *, clock: Clock | None = None, script_clock: Clock | None = None
    ) -> None:
        self._redis = redis
        self._clock = clock or script_clock or SystemClock()
        self._script_clock = script_clock

    def take(
        self,
        provider: str,
        spec: LimitSpec | None,
        priority: Priority,
        want: int = 1,
        *,
        version: int = 0,
    ) -> Grant:
        """Request up to `want` permits now. Without limits (`off`) there is no round trip.

        `version` is the configuration that `spec` is from. If Redis knows a newer one, the reason
        is `stale` and nothing is granted: its limit may be lower.
        """
        if spec is None or spec.off:
            return _unlimited(want)
        if not 1 <= want <= MOST_PERMITS:
            raise ValueError(f"want is 1 to {MOST_PERMITS}, not {want}")
        time, encoded = self.script_args(spec)
        keys = (*limiter_keys(provider), CONFIGURATION())
        args = (time, encoded, int(priority), want, version)
        return read_grant(run_script(self._redis, "admission/take", keys, args))

    def finish(
        self, provider: str, permit: str, spec: LimitSpec | None = None
    ) -> LimiterState | None:
        """Report that the call of a permit has ended, successfully or not. May be repeated.

        The sooner after the response's first byte, the sooner the slot is free again. With `spec`,
        return the state after it as `state` does, in the same round trip; None without limits.
        """
        if permit == OFF_PERMIT:
            return None
        keys, time = limiter_keys(provider), self._now_ms()
        calls = [ScriptCall("admission/finish", keys, (time, permit))]
        if spec is not None:
            calls.append(ScriptCall("admission/state", keys, (time, self._encoded(spec))))
        answers = run_scripts(self._redis, calls)
        return read_state(provider, json.loads(answers[1])) if spec is not None else None

    def hand_back(self, provider: str, permit: str) -> bool:
        """Give back a permit whose call was not sent; return whether it was still open."""
        return permit != OFF_PERMIT and bool(self._run("hand_back", provider, permit))

    def block(self, provider: str, seconds: float, reason: str = "") -> None:
        """Grant nothing for `seconds`, at most `MAX_BLOCK_SECONDS`. A longer block stays."""
        seconds = min(max(0.0, seconds), MAX_BLOCK_SECONDS)
        self._run("block", provider, self._now_ms(), seconds * 1000, reason)

    def unblock(self, provider: str) -> None:
        """Lift a block before its time."""
        self._redis.hdel(LIMIT_STATE(provider=provider), "blocked_until", "block_reason")

    def pause(self, provider: str, until: datetime | None = None) -> None:
        """Grant nothing until `until`, or until `resume` when None."""
        end = "inf" if until is None else f"{until.timestamp() * 1000:.3f}"
        self._redis.hset(LIMIT_STATE(provider=provider), "paused_until", end)

    def resume(self, provider: str) -> None:
        """End a pause. A block stays."""
        self._redis.hdel(LIMIT_STATE(provider=provider), "paused_until")

    def set_factor(self, provider: str, factor: float, *, was: float | None = None) -> bool:
        """Set the adaptive factor, clamped to [`FACTOR_FLOOR`, 1]; return whether it was set.

        With `was`, only while the factor still has that value: of many calls granted under one
        factor with the same outcome, only the first moves it.
        """
        factor = min(1.0, max(FACTOR_FLOOR, factor))
        return bool(self._run("set_factor", provider, repr(factor), "" if was is None else was))

    def set_limits(self, provider: str, windows: Sequence[Rate] | None) -> None:
        """Override the windows of the specification for the whole fleet; None ends the override.

        Effective from the next `take` of any worker. A period longer than any before makes the
        limiter `unknown` until `rebuild`. Stored only in Redis.
        """
        if windows is not None and not windows:
            raise ValueError("an override has at least one window; None ends it")
        key = LIMIT_STATE(provider=provider)
        if windows is None:
            self._redis.hdel(key, "limits")
        else:
            self._redis.hset(key, "limits", json.dumps(window_pairs(tuple(windows))))

    def overrides(self, providers: Sequence[str]) -> dict[str, tuple[Rate, ...] | None]:
        """Return each provider's override, None for none, in one round trip."""
        with self._redis.pipeline(transaction=False) as pipe:
            for provider in providers:
                pipe.hget(LIMIT_STATE(provider=provider), "limits")
            texts = pipe.execute()
        return {
            provider: tuple(Rate(int(c), ms / 1000) for c, ms in json.loads(text)) if text else None
            for provider, text in zip(providers, texts, strict=True)
        }

    def rebuild(
        self, provider: str, spec: LimitSpec, calls: Iterable[LedgerCall], noticed: str = ""
    ) -> bool:
        """Start counting from the calls in the ledger; return whether this call did so.

        `calls` are those of the last `longest_period_seconds`, including running ones; the very
        first start is a rebuild without any. If state exists and reaches back far enough, nothing
        happens, so any number of rebuilds may race. `noticed` is the loss (its value in
        `UNKNOWN_LIMITS`) for which they were read: after a further loss nothing happens either.
        """
        as_of = self._clock.now()
        known: list[str] = []
        for call in calls:
            known += _known_call(call, spec, as_of)
        keys = (*limiter_keys(provider), UNKNOWN_LIMITS())
        args = (self._now_ms(), self._encoded(spec), provider, noticed, *known)
        return bool(run_script(self._redis, "admission/rebuild", keys, args))

    def state(self, provider: str, spec: LimitSpec) -> LimiterState:
        """Return the limiter's state, without changing it."""
        answer = self._run("state", provider, self._now_ms(), self._encoded(spec))
        return read_state(provider, json.loads(answer))

    def states(self, specs: Mapping[str, LimitSpec]) -> dict[str, LimiterState]:
        """Return the state of each provider's limiter, as `state` does, in one round trip."""
        calls = [
            ScriptCall("admission/state", limiter_keys(name), (self._now_ms(), self._encoded(spec)))
            for name, spec in specs.items()
        ]
        answers = run_scripts(self._redis, calls)
        return {
            name: read_state(name, json.loads(answer))
            for name, answer in zip(specs, answers, strict=True)
        }

    def ended_at(self, provider: str, latency_seconds: float) -> list[float]:
        """Return when the counted calls ended, in seconds from now, for forecasts.

        A running call is assumed to end after `latency_seconds`.
        """
        _, calls, flight = limiter_keys(provider)
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.zrange(calls, 0, -1, withscores=True)
            pipe.zrange(flight, 0, -1)
            pipe.time()
            counted, running, (seconds, micros) = pipe.execute()
        now = self._script_clock.now().timestamp() if self._script_clock else seconds + micros / 1e6
        in_flight = set(running)
        return [
            latency_seconds if permit in in_flight else score / 1000 - now
            for permit, score in counted
        ]

    def script_args(self, spec: LimitSpec) -> tuple[str, str]:
        """Return a script's first two arguments: the time and the limits ('' for none)."""
        return self._now_ms(), "" if spec.off else self._encoded(spec)

    def _run(self, name: str, provider: str, *args: str | float) -> Any:
        return run_script(self._redis, f"admission/{name}", limiter_keys(provider), args)

    def _encoded(self, spec: LimitSpec) -> str:
        if spec.schedule is None:
            return spec.encoded
        return encode_spec(spec, concurrency_at(spec, self._clock.now()))

    def _now_ms(self) -> str:
        return script_time(self._script_clock)


def _unlimited(want: int) -> Grant:
    return Grant((OFF_PERMIT,) * want, 0.0, "off")


def _known_call(call: LedgerCall, spec: LimitSpec, as_of: datetime) -> tuple[str, str, str]:
    """Return the arguments of `rebuild.lua` for a call; time spans only, as clocks may differ."""
    lease_ms = 0.0 if call.completed_at else (call.lease_until - as_of) / MILLISECOND
    seen_by = call.completed_at or call.lease_until
    if spec.arrival_bound_seconds is not None:
        seen_by = min(seen_by, call.started_at + timedelta(seconds=spec.arrival_bound_seconds))
    age_ms = (as_of - seen_by) / MILLISECOND
    if call.completed_at:
        age_ms = max(0.0, age_ms)
    return f"{age_ms:.3f}", f"{lease_ms:.3f}", call.permit or ""
