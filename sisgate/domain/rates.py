"""Rates such as `1000/h`, and what a provider's headers say about its limits. Pure.

Sources of the headers: RFC 9110 section 10.2.3 (Retry-After); draft-ietf-httpapi-ratelimit-headers
in its three shapes: `RateLimit-Limit|Remaining|Reset` (to 06), `RateLimit: limit=, remaining=,
reset=` (07) and `RateLimit: "policy";r=;t=` with `RateLimit-Policy: "policy";q=;w=` (08 on); the
de-facto `X-RateLimit-*`, whose reset is seconds from now or since 1970. No header makes it raise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST_CALLS = 10**9
"""No provider allows more, and beyond some size neither Lua nor a float counts exactly."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RATE = re.compile(r"\s*(?P<calls>\d+)\s*/\s*(?P<count>\d+(?:\.\d+)?)?\s*(?P<unit>[smhd])\w*\s*")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `calls` calls in every window of `period_seconds` seconds.

    >>> Rate.parse("1000/h")
    Rate(calls=1000, period_seconds=3600.0)
    >>> Rate.parse("60/10s").per_second
    6.0
    >>> str(Rate.parse("20 / s"))
    '20/s'
    """

    calls: int
    period_seconds: float

    @property
    def per_second(self) -> float:
        """Calls per second when spent evenly."""
        return self.calls / self.period_seconds

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read `N/UNIT` or `N/COUNT UNIT` with the units s, m, h, d. `ValueError` otherwise."""
        match = _RATE.fullmatch(text)
        if match is None:
            raise ValueError(f"a rate is written like 1000/h, 20/s or 60/10s, not {text!r}")
        calls = int(match["calls"])
        period = float(match["count"] or 1) * _UNITS[match["unit"]]
        if calls < 1 or period <= 0:
            raise ValueError(f"a rate allows at least one call in a positive time, not {text!r}")
        if calls > MOST_CALLS or not math.isfinite(period):
            raise ValueError(f"a rate allows at most {MOST_CALLS} calls in a finite time")
        return cls(calls, period)

    def __str__(self) -> str:
        for unit in ("d", "h", "m", "s"):
            count = self.period_seconds / _UNITS[unit]
            if count >= 1 and count == int(count):
                return f"{self.calls}/{'' if count == 1 else int(count)}{unit}"
        return f"{self.calls}/{self.period_seconds:g}s"


MAX_BLOCK_SECONDS = 3600.0
"""The longest time that a provider's response may block it."""

_LONGEST_HEADER = 512
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_PARAMETER = re.compile(r"\b(limit|remaining|reset|r|t)\s*=\s*([0-9]+)", re.IGNORECASE)
_LEADING_NUMBER = re.compile(r"\s*([0-9]+)")
_EPOCH_FROM = 1e9
_EPOCH_MS_FROM = 1e12


@dataclass(frozen=True, slots=True)
class RateHint:
    """What a provider reports as left; None for what it does not report."""

    remaining: float | None
    reset_seconds: float | None


def parse_retry_after(
    raw: str | None, now: datetime, *, cap_seconds: float = MAX_BLOCK_SECONDS
) -> float | None:
    """Return the seconds of a Retry-After, from 0 to `cap_seconds`; None if unreadable.

    Seconds or an HTTP-date in any of its three forms. Of several (repeated headers are joined by
    commas) the longest counts. A date in the past is 0.

    >>> now = datetime(2026, 9, 1, tzinfo=UTC)
    >>> parse_retry_after("120", now), parse_retry_after("Tue, 01 Sep 2026 00:00:30 GMT", now)
    (120.0, 30.0)
    >>> parse_retry_after("-5", now), parse_retry_after("9" * 400, now)
    (0.0, 3600.0)
    >>> parse_retry_after("soon", now)
    """
    if raw is None:
        return None
    waits = list(_waits(raw[:_LONGEST_HEADER], now))
    return min(cap_seconds, max(0.0, *waits)) if waits else None


def _waits(raw: str, now: datetime) -> Iterator[float]:
    parts = [part.strip() for part in raw.split(",")]
    for i, part in enumerate(parts):
        if _NUMBER.fullmatch(part):
            yield float(part)
            continue
        # An HTTP-date has a comma of its own, after the weekday.
        for text in (part, ", ".join(parts[i : i + 2])):
            date = _http_date(text)
            if date is not None:
                yield (date - now).total_seconds()


def _http_date(text: str) -> datetime | None:
    if ":" not in text:
        return None
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def parse_rate_hint(
    headers: Mapping[str, str], now: datetime, *, cap_seconds: float = MAX_BLOCK_SECONDS
) -> RateHint:
    """Return what is left of the tightest policy in the headers, and when it resets.

    >>> now = datetime(2026, 9, 1, tzinfo=UTC)
    >>> parse_rate_hint({"RateLimit": '"burst";r=9;t=1, "hour";r=3;t=900'}, now)
    RateHint(remaining=3.0, reset_seconds=900.0)
    >>> parse_rate_hint({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1788220830"}, now)
    RateHint(remaining=0.0, reset_seconds=30.0)
    """
    lower = {name.lower(): value[:_LONGEST_HEADER] for name, value in headers.items()}
    hints = list(_structured(lower.get("ratelimit", ""), now))
    for prefix in ("ratelimit-", "x-ratelimit-", "x-rate-limit-"):
        remaining = _leading_number(lower.get(prefix + "remaining"))
        if remaining is not None:
            hints.append((remaining, _reset(_leading_number(lower.get(prefix + "reset")), now)))
    if not hints:
        return RateHint(None, None)
    remaining, reset = min(hints, key=lambda hint: (hint[0], -(hint[1] or 0.0)))
    return RateHint(remaining, None if reset is None else min(cap_seconds, reset))


def are_faster(rates: Iterable[Rate], others: Iterable[Rate]) -> bool:
    """Return whether limits that hold together allow more calls in the long run than others.

    >>> are_faster([Rate.parse("20/s"), Rate.parse("500/h")], [Rate.parse("1000/h")])
    False
    """
    return min(each.per_second for each in rates) > min(each.per_second for each in others)


def _structured(text: str, now: datetime) -> Iterator[tuple[float, float | None]]:
    """Yield remaining and reset of each policy: one per comma, or all commas one policy."""
    one_policy = "remaining" in text.lower()
    for item in [text] if one_policy else text.split(","):
        values = {name.lower(): float(value) for name, value in _PARAMETER.findall(item)}
        remaining = values.get("r", values.get("remaining"))
        if remaining is not None:
            yield remaining, _reset(values.get("t", values.get("reset")), now)


def _leading_number(text: str | None) -> float | None:
    match = _LEADING_NUMBER.match(text) if text else None
    return float(match[1]) if match else None


def _reset(value: float | None, now: datetime) -> float | None:
    """Return seconds from now: a value large enough to be a date since 1970 is one."""
    if value is None or value < _EPOCH_FROM:
        return value
    if value >= _EPOCH_MS_FROM:
        value /= 1000
    return max(0.0, value - now.timestamp())
