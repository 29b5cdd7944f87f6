"""The values that go into the limiter and come out of it. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast, get_args

from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.settings import ProviderConfig

Reason = Literal[
    "granted",
    "window",
    "bucket",
    "reserve",
    "interval",
    "concurrency",
    "blocked",
    "paused",
    "unknown",
    "stale",
    "off",
]
REASONS: tuple[Reason, ...] = get_args(Reason)

OFF_PERMIT = "off"
"""The permit of a provider without limits: nothing is counted for it."""

_KNOWN_REASONS = {reason.encode(): reason for reason in REASONS}


@dataclass(frozen=True, slots=True)
class Grant:
    """The result of `Limiter.take`: `permits`, at most as many as wanted, or why there are none.

    `wait_seconds` is 0 when granted, else the earliest time, as far as is known now, of a permit
    for this priority. `factor` is the adaptive factor at the grant; report what the call teaches
    with it (`Limiter.set_factor(…, was=factor)`).
    """

    permits: tuple[str, ...]
    wait_seconds: float
    reason: Reason
    factor: float = 1.0

    def __bool__(self) -> bool:
        return bool(self.permits)


@dataclass(frozen=True, slots=True)
class LedgerCall:
    """A call in the ledger, for `rebuild`. `completed_at` None: running or crashed.

    With its permit, a running call can still be finished after the rebuild, which frees its slot;
    without, it counts to the end of its lease, and once more when it is finished.
    """

    started_at: datetime
    completed_at: datetime | None
    lease_until: datetime
    permit: str | None = None


@dataclass(frozen=True, slots=True)
class WindowState:
    """How much of one window is used; calls in flight count."""

    rate: Rate
    used: int

    @property
    def left(self) -> int:
        """Calls left in the window."""
        return max(0, self.rate.calls - self.used)

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {"limit": str(self.rate), "used": self.used, "left": self.left}


@dataclass(frozen=True, slots=True)
class LimiterState:
    """The current state of one provider's limiter. `known` is False until `rebuild`.

    `paused_until` is None when not paused, and `datetime.max` (UTC) for a pause without end.
    """

    provider: str
    known: bool
    windows: tuple[WindowState, ...]
    tokens: float
    burst: int
    in_flight: int
    factor: float
    blocked_seconds: float
    block_reason: str
    paused_until: datetime | None
    overridden: bool
    next_permit_in_seconds: Mapping[Priority, float]
    waiting_for: Mapping[Priority, Reason]

    def next_permits(self) -> dict[str, float]:
        """Return the seconds until the next permit is possible, by priority name."""
        return {p.word: round(seconds, 3) for p, seconds in self.next_permit_in_seconds.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return what is shown to people, JSON-ready."""
        return {
            "windows": [window.as_dict() for window in self.windows],
            "overridden": self.overridden,
            "factor": self.factor,
            "blocked_seconds": self.blocked_seconds,
            "paused_until": self.paused_until.isoformat() if self.paused_until else None,
            "next_permit_in_seconds": self.next_permits(),
        }


def read_grant(answer: Sequence[bytes]) -> Grant:
    """Read the reply of `take.lua`: reason, ms to wait, factor, permits."""
    reason, wait_ms, factor, *permits = answer
    return Grant(
        permits=tuple(permit.decode() for permit in permits),
        wait_seconds=float(wait_ms) / 1000,
        reason=_KNOWN_REASONS[bytes(reason)],
        factor=float(factor),
    )


def read_state(provider: str, answer: dict[str, Any]) -> LimiterState:
    """Read the JSON of `state.lua`. Empty lists come as empty objects."""
    waits = {Priority(int(step)): wait for step, wait in answer["waits"].items()}
    windows = tuple(
        WindowState(Rate(int(calls), period_ms / 1000), int(used))
        for calls, period_ms, used in answer["windows"] or ()
    )
    return LimiterState(
        provider=provider,
        known=bool(answer["known"]),
        windows=windows,
        tokens=float(answer["tokens"]),
        burst=int(answer["burst"]),
        in_flight=int(answer["in_flight"]),
        factor=float(answer["factor"]),
        blocked_seconds=answer["blocked_ms"] / 1000,
        block_reason=str(answer["block_reason"]),
        paused_until=_pause_end(str(answer["paused_until"])),
        overridden=bool(answer["overridden"]),
        next_permit_in_seconds={p: wait[0] / 1000 for p, wait in waits.items()},
        waiting_for={p: cast("Reason", wait[1]) for p, wait in waits.items()},
    )


def _pause_end(text: str) -> datetime | None:
    if not text:
        return None
    if text == "inf":
        return datetime.max.replace(tzinfo=UTC)
    return datetime.fromtimestamp(float(text) / 1000, UTC)


def checks_since(config: ProviderConfig, since: datetime, now: datetime) -> list[LedgerCall]:
    """Return the counted health checks that may have been made since then, for a rebuild.

    The ledger does not record them. An endpoint is checked at most once per interval, so the n-th
    latest check was made at least n intervals ago; each is assumed to be as late as possible.
    """
    health = config.health
    if health is None or not health.counts:
        return []
    every, longest = timedelta(seconds=health.interval_seconds), health.timeout_seconds
    starts = [now - every * n for n in range(int((now - since) / every) + 1)]
    return [
        LedgerCall(at, min(now, at + timedelta(seconds=longest)), at + timedelta(seconds=longest))
        for at in reversed(starts)
        for _ in config.endpoints
    ]
