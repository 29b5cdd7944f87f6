"""Rates such as `1000/h`: so many calls in any window of so many seconds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

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
