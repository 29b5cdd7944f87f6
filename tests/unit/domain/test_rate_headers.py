"""What a provider says about its limits, in every spelling, and any nonsense."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sisgate.domain.rates import RateHint, parse_rate_hint, parse_retry_after

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)

NUMBERS = (
    st.floats().map(str) | st.integers().map(str) | st.sampled_from(["1e9", "0x10", "٣", "-0"])
)
DATES = st.datetimes().map(lambda d: format_datetime(d.replace(tzinfo=UTC), usegmt=True))
HEADERS = st.text() | NUMBERS | DATES | st.lists(st.text() | NUMBERS | DATES).map(", ".join)


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ("0", 0.0),
        ("17", 17.0),
        (" 17 ", 17.0),
        ("1.5", 1.5),
        ("-30", 0.0),
        ("99999999999999999999", 3600.0),
        ("Tue, 01 Sep 2026 08:01:00 GMT", 60.0),
        ("Tuesday, 01-Sep-26 08:01:00 GMT", 60.0),
        ("Tue Sep  1 08:01:00 2026", 60.0),
        ("Tue, 01 Sep 2026 10:01:00 +0200", 60.0),
        ("Tue, 01 Sep 2026 07:00:00 GMT", 0.0),
        ("Tue, 01 Sep 2099 07:00:00 GMT", 3600.0),
        ("5, 20", 20.0),
        ("5, Tue, 01 Sep 2026 08:01:00 GMT", 60.0),
        ("soon, 20", 20.0),
    ],
)
def test_retry_after_is_read_in_both_formats_and_capped(raw: str, seconds: float) -> None:
    """Seconds, the three forms of HTTP-date, several at once: the longest, within [0, cap]."""
    assert parse_retry_after(raw, NOW) == seconds


@pytest.mark.parametrize("raw", [None, "", "soon", "nan", "inf", "1e3", "12:00", "0x10", "٣", ","])
def test_retry_after_that_cannot_be_read_says_nothing(raw: str | None) -> None:
    """Garbage is not a wait of zero: the caller falls back to its own."""
    assert parse_retry_after(raw, NOW) is None


@given(raw=HEADERS, cap=st.floats(min_value=0, max_value=1e6))
@example(raw="Mon, 01 Jan 0001 00:00:00 +2359", cap=1.0)
@example(raw="Fri, 31 Dec 9999 23:59:59 -2359", cap=1.0)
def test_retry_after_never_raises_and_stays_within_the_cap(raw: str, cap: float) -> None:
    """Whatever a provider sends, the wait is a number from 0 to the cap, or unknown."""
    seconds = parse_retry_after(raw, NOW, cap_seconds=cap)
    assert seconds is None or 0 <= seconds <= cap


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        ({"RateLimit-Remaining": "40", "RateLimit-Reset": "50"}, RateHint(40, 50)),
        ({"RateLimit": "limit=100, remaining=40, reset=50"}, RateHint(40, 50)),
        ({"RateLimit": '"default";r=40;t=50'}, RateHint(40, 50)),
        ({"RateLimit": '"s";r=9;t=1, "h";r=3;t=900'}, RateHint(3, 900)),
        ({"x-ratelimit-remaining": "0", "X-RATELIMIT-RESET": "30"}, RateHint(0, 30)),
        ({"X-Rate-Limit-Remaining": "4"}, RateHint(4, None)),
        ({"RateLimit-Remaining": "7, 7;w=60"}, RateHint(7, None)),
        ({"X-RateLimit-Limit": "100"}, RateHint(None, None)),
        ({"X-RateLimit-Remaining": "many"}, RateHint(None, None)),
        ({}, RateHint(None, None)),
    ],
)
def test_rate_hints_are_read_in_every_shape(headers: dict[str, str], hint: RateHint) -> None:
    """The drafts' three shapes and the de-facto headers; the tightest policy counts."""
    assert parse_rate_hint(headers, NOW) == hint


@pytest.mark.parametrize("scale", [1, 1000])
def test_a_reset_since_1970_becomes_seconds_from_now(scale: int) -> None:
    """Some providers send the date of the reset, in seconds or milliseconds."""
    reset = str(int((NOW + timedelta(seconds=30)).timestamp()) * scale)
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    assert parse_rate_hint(headers, NOW) == RateHint(0, 30)


@given(
    headers=st.dictionaries(
        st.sampled_from(["RateLimit", "RateLimit-Remaining", "X-RateLimit-Remaining"])
        | st.sampled_from(["RateLimit-Reset", "X-RateLimit-Reset"]),
        HEADERS | st.from_regex(r"\"?[a-z]*\"?;r=[0-9]{1,30};t=[0-9]{1,400}"),
    )
)
def test_rate_hints_never_raise_and_stay_within_the_cap(headers: dict[str, str]) -> None:
    """Whatever a provider sends, the hint is usable."""
    hint = parse_rate_hint(headers, NOW, cap_seconds=60)
    assert hint.remaining is None or hint.remaining >= 0
    assert hint.reset_seconds is None or 0 <= hint.reset_seconds <= 60
