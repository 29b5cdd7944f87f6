"""Times as people are shown them and write them."""

import re
from datetime import datetime, timedelta

LONGEST = timedelta(days=36_500)
"""The longest duration that is accepted; further away, a date overflows."""

_SHORT = re.compile(r"(?P<number>[0-9]+)(?P<unit>[smhd])")
_ISO = re.compile(
    r"P(?=.)((?P<weeks>[0-9]+)W)?((?P<days>[0-9]+)D)?"
    r"(T(?=.)((?P<hours>[0-9]+)H)?((?P<minutes>[0-9]+)M)?((?P<seconds>[0-9]+)S)?)?"
)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """Parse a duration such as `90s`, `15m`, `2h`, `1d`, or in ISO 8601, such as `PT15M`.

    Raises `ValueError` for any other text, and beyond `LONGEST`.

    >>> [str(parse_duration(text)) for text in ("15m", "PT15M", "P1DT2H")]
    ['0:15:00', '0:15:00', '1 day, 2:00:00']
    """
    if match := _SHORT.fullmatch(text):
        parts = {_UNITS[match["unit"]]: match["number"]}
    elif match := _ISO.fullmatch(text):
        parts = {name: number for name, number in match.groupdict().items() if number}
    else:
        raise ValueError(f"a duration is written like 90s, 15m, 2h, 1d or PT15M, not {text[:40]!r}")
    if any(len(number) > 12 for number in parts.values()):
        raise ValueError(f"{text[:20]} is longer than a hundred years")
    try:
        length = timedelta(**{name: int(number) for name, number in parts.items()})
    except OverflowError:
        length = timedelta.max
    if length > LONGEST:
        raise ValueError(f"{text[:20]} is longer than a hundred years")
    return length


def local_time(value: datetime | None) -> str:
    """Return a time in the machine's own time zone, with its name, or a dash."""
    return "-" if value is None else f"{value.astimezone():%Y-%m-%d %H:%M:%S %Z}"
