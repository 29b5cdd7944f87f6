"""Figures as people are shown them, in every face: counts, shares, lengths of time. Pure."""

from collections.abc import Mapping
from math import floor
from typing import Any

MINUTE, HOUR, DAY = 60, 3_600, 86_400
SHORT_SECONDS = 10
"""Below, tenths of a second are shown."""

LONG_HOURS = 48
"""Up to here, hours are not shown as days."""


def number(value: float | None) -> str:
    """Return a number with thousands separators, or a dash.

    >>> number(12345), number(None)
    ('12,345', '-')
    """
    return "-" if value is None else f"{value:,}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> counted(1, "job"), counted(12345, "job")
    ('1 job', '12,345 jobs')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(share: float | None, digits: int = 0) -> str:
    """Return a share of one with up to `digits` decimals, or a dash. Only all of it is 100%.

    >>> [percent(share, 2) for share in (0.995, 0.99999, 1.0, None)]
    ['99.5%', '99.99%', '100%', '-']
    >>> percent(0.28), percent(0.999)
    ('28%', '99%')
    """
    if share is None:
        return "-"
    shown = round(100 * share, digits)
    if shown >= 100 > 100 * share:
        shown = floor(100 * share * 10**digits) / 10**digits
    text = f"{shown:,.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}%"


def budget_left(share: float | None) -> str:
    """Return what is left of an error budget; of one that is used up, how many times over.

    >>> [budget_left(share) for share in (0.25, 0.0, -21.5, None)]
    ['25%', '0%', 'none (used 22.5 times)', '-']
    """
    if share is not None and share < 0:
        return f"none (used {1 - share:,.1f} times)"
    return percent(share, 2)


def duration(seconds: float) -> str:
    """Return a length of time in one or two units.

    >>> [duration(s) for s in (0, 0.04, 0.42, 9.5, 42, 59.9, 75, 3600, 3725, 86400, 200000)]
    ['0 s', '40 ms', '0.4 s', '9.5 s', '42 s', '1 min', '1 min 15 s', '1 h', '1 h 2 min', '24 h', '2 d 7 h']
    """  # noqa: E501  # one line, as a doctest needs it
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if 0 < seconds < 0.1:
        return f"{1000 * seconds:.0f} ms"
    if round(seconds, 1) < SHORT_SECONDS:
        return f"{round(seconds, 1):g} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return _both(whole // MINUTE, "min", whole % MINUTE, "s")
    if whole < LONG_HOURS * HOUR:
        return _both(whole // HOUR, "h", whole % HOUR // MINUTE, "min")
    return _both(whole // DAY, "d", whole % DAY // HOUR, "h")


def latency(ms: float | None) -> str:
    """Return a latency, or a dash: below a second in milliseconds.

    >>> latency(412.3), latency(1500), latency(None)
    ('412 ms', '1.5 s', '-')
    """
    if ms is None:
        return "-"
    return f"{ms:.0f} ms" if round(ms) < 1000 else duration(ms / 1000)


def figures_text(figures: Mapping[str, Any]) -> str | None:
    """Return figures by name as text, without those that are not known.

    >>> figures_text({"calls": 1600, "broke_off": {"connection": 1}, "job": None, "bound": 20.0})
    'calls: 1,600 · broke off: connection 1 · bound: 20'
    """
    known = [
        f"{name.replace('_', ' ')}: {_value(value)}"
        for name, value in figures.items()
        if value not in (None, [], {}, "")
    ]
    return " · ".join(known) or None


def _value(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return number(value)
        case float():
            return number(int(value)) if value.is_integer() else str(value)
        case Mapping():
            return ", ".join(f"{name} {_value(each)}" for name, each in value.items())
        case list() | tuple():
            return ", ".join(_value(each) for each in value)
    return str(value)


def _both(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large:,} {unit} {small} {smaller}" if small else f"{large:,} {unit}"
