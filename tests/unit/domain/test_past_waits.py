"""Whose fault a wait was: what is recorded decides, and what is not known is not guessed."""

from datetime import UTC, datetime, timedelta

import pytest

from sisgate.domain.past_waits import BegunCall, Fault, PastFacts, Recorded, explain
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate

BEGIN = datetime(2026, 11, 29, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NORMAL, URGENT = int(Priority.NORMAL), int(Priority.URGENT)
HOURLY = (Rate.parse("100/h"),)


def called(minute: float, *, priority: int = NORMAL, status: int = 200) -> BegunCall:
    """A call of another job, so many minutes after the beginning."""
    return BegunCall(BEGIN + minute * MINUTE, priority, status)


def during(first: float, last: float, fault: Fault, what: str) -> Recorded:
    """Something that is recorded from one minute to another."""
    return Recorded(BEGIN + first * MINUTE, BEGIN + last * MINUTE, fault, what)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (PastFacts(), [(10, "unknown")]),
        (PastFacts(windows=HOURLY), [(10, "unknown")]),
        (PastFacts([called(-30)] * 95, windows=HOURLY), [(10, "quota")]),
        (PastFacts([called(n) for n in range(10)], windows=HOURLY), [(10, "quota")]),
        (PastFacts([called(1), called(2)], windows=(Rate.parse("10/s"),)), [(10, "unknown")]),
        (PastFacts([called(1)]), [(10, "fleet")]),
        (PastFacts([called(-1, status=429)], windows=HOURLY), [(10, "provider")]),
        (PastFacts(alerts=[during(-5, 5, "fleet", "no worker")]), [(10, "fleet")]),
        (PastFacts(holds=[during(-5, 20, "person", "paused")]), [(10, "person")]),
        (
            PastFacts(
                holds=[during(3, 4, "provider", "down"), during(1, 2, "person", "paused")],
                contacts=[called(-30)] * 95, windows=HOURLY,
            ),
            [(1, "quota"), (1, "person"), (1, "quota"), (1, "provider"), (6, "quota")],
        ),
    ],
)  # fmt: skip
def test_a_wait_is_put_down_to_what_is_recorded(
    facts: PastFacts, told: list[tuple[int, str]]
) -> None:
    """Its parts add up to the whole."""
    parts = list(explain(BEGIN, BEGIN + 10 * MINUTE, NORMAL, facts))
    assert [((each.end - each.begin) // MINUTE, each.fault) for each in parts] == told


def test_who_went_first_is_told() -> None:
    """How many calls, and how many of them were more urgent."""
    contacts = [called(n, priority=URGENT if n < 7 else NORMAL) for n in range(10)]
    facts = PastFacts(contacts, windows=HOURLY)
    (wait,) = explain(BEGIN, BEGIN + 10 * MINUTE, NORMAL, facts)
    assert "10 calls went first, 7 of them more urgent" in wait.text


def test_a_wait_for_a_retry_is_the_provider_s_but_for_what_held_it() -> None:
    """Its quota does not matter."""
    facts = PastFacts([called(-30)] * 95, [during(2, 4, "person", "paused")], windows=HOURLY)
    parts = explain(BEGIN, BEGIN + 10 * MINUTE, NORMAL, facts, ("provider", "to be tried again"))
    assert [each.fault for each in parts] == ["provider", "person", "provider"]
