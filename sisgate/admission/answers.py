"""Reading what the limiter's scripts answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sisgate.admission.spec import REASONS, Grant, LimiterState, Reason, WindowState
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate

_KNOWN_REASONS = {reason.encode(): reason for reason in REASONS}


def read_grant(answer: Sequence[bytes]) -> Grant:
    """Read the answer of `take.lua`: reason, ms to wait, factor, permits."""
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
        epoch=str(answer["epoch"]),
        windows=windows,
        tokens=float(answer["tokens"]),
        burst=int(answer["burst"]),
        in_flight=int(answer["in_flight"]),
        factor=float(answer["factor"]),
        blocked_seconds=answer["blocked_ms"] / 1000,
        block_reason=str(answer["block_reason"]),
        paused_until=_pause_end(str(answer["paused_until"])),
        overridden=bool(answer["overridden"]),
        limits_version=int(answer["limits_version"]),
        next_permit_in_seconds={p: wait[0] / 1000 for p, wait in waits.items()},
        waiting_for={p: cast("Reason", wait[1]) for p, wait in waits.items()},
    )


def _pause_end(text: str) -> datetime | None:
    if not text:
        return None
    if text == "inf":
        return datetime.max.replace(tzinfo=UTC)
    return datetime.fromtimestamp(float(text) / 1000, UTC)
