"""How often a pattern of errors comes: trend and spikes. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from sisgate.errors import ProviderRefused

Trend = Literal["rising", "steady", "falling"]

BEFORE = timedelta(hours=24)
HOUR = timedelta(hours=1)
COUNTED = timedelta(minutes=10)
"""The time of one count."""

LATELY = 2 * COUNTED
"""The time that is compared, the ten minutes that have begun and those before, with the day before.
"""

ENDED = timedelta(minutes=5)
"""A pattern that has not come for so long comes no more."""

SPIKE_COUNT, SPIKE_TIMES = 10, 5.0
"""A spike is at least so many lately, and so many times as many as usual."""

OF_CALLERS = frozenset({400, 404, 409, 412, 422})
"""Statuses that say what is wrong with a request, not with the provider."""

RISES, FALLS = 1.5, 0.67


def per_span(counts: Mapping[datetime, int], now: datetime) -> tuple[int, float]:
    """Return how often a pattern came lately, and how often as usual in as long a time.

    What is usual is taken from the time since its first count of the day before.

    >>> now = datetime(2026, 9, 1, 8, 5)
    >>> per_span({now - timedelta(minutes=minutes): 5 for minutes in range(5, 60, 10)}, now)
    (10, 10.0)
    """
    recent = sum(n for begin, n in counts.items() if begin > now - LATELY)
    before = {at: n for at, n in counts.items() if now - BEFORE < at <= now - LATELY}
    # Without the count that has begun, and without the one before it, which is of lately as well.
    known = ((now - min(before, default=now)) // COUNTED - 1) * COUNTED
    return recent, sum(before.values()) / max(1.0, known / LATELY)


def by_hour(counts: Mapping[datetime, int], now: datetime) -> list[int]:
    """Return how often a pattern came in each of the last 24 hours, the oldest first.

    >>> now = datetime(2026, 9, 1, 8)
    >>> by_hour({now - timedelta(minutes=10): 3, now - timedelta(minutes=70): 2}, now)[-3:]
    [0, 2, 3]
    """
    hours = [0] * (BEFORE // HOUR)
    for begin, count in counts.items():
        ago = (now - begin) // HOUR
        if 0 <= ago < len(hours):
            hours[-1 - ago] += count
    return hours


def is_spike(
    counts: Mapping[datetime, int], first_seen: datetime, last_seen: datetime, now: datetime
) -> bool:
    """Return whether a pattern comes far more often than it did; not a new or an ended one."""
    recent, usual = per_span(counts, now)
    is_known = first_seen <= now - HOUR and last_seen > now - ENDED
    return is_known and recent >= SPIKE_COUNT and recent >= SPIKE_TIMES * usual


def is_usual(code: str, status: int | None, *, of_request: bool) -> bool:
    """Return whether an error is no news even where it is new: its caller's own, or over by itself.

    That is a request of an app for what is not there or not right, and a token that was replaced.

    >>> is_usual("provider_refused", 404, of_request=True)
    True
    >>> is_usual("token_expired", 401, of_request=False)
    True
    >>> is_usual("provider_refused", 404, of_request=False)
    False
    """
    is_own = of_request and code == ProviderRefused.code and status in OF_CALLERS
    return is_own or code == "token_expired"


def trend_of(counts: Mapping[datetime, int], now: datetime) -> Trend:
    """Return whether a pattern comes more often than it did.

    >>> now = datetime(2026, 9, 1, 8)
    >>> trend_of({now - timedelta(minutes=5): 9, now - timedelta(hours=5): 9}, now)
    'rising'
    """
    recent, usual = per_span(counts, now)
    if recent > RISES * usual:
        return "rising"
    return "falling" if recent < FALLS * usual else "steady"
