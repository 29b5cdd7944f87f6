"""When a breaker opens, for how long, and what moves it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.breakers.spec import BreakerSpec, BreakerToken, State
from sisgate.domain.response_class import Outcome
from tests import breaker_rules as rules
from tests.breaker_rules import Breaker

NOW = 1_800_000_000_000
CALM = BreakerSpec(jitter=0.0)


def after(
    spec: BreakerSpec, outcomes: str, took_ms: float = 10, breaker: Breaker | None = None
) -> Breaker:
    """Return a breaker after calls: f failed, n said nothing, s succeeded."""
    breaker = breaker or Breaker()
    words = {"f": Outcome.FAILURE, "n": Outcome.NEUTRAL, "s": Outcome.SUCCESS}
    for letter in outcomes:
        breaker, token, _ = rules.ask(breaker, spec, NOW)
        if token is not None:
            breaker, _ = rules.report(breaker, spec, token, words[letter], took_ms, NOW, 0.0)
    return breaker


def test_failures_in_a_row_open_it() -> None:
    """The fifth, and not the fourth."""
    assert after(CALM, "ffff").state is State.CLOSED
    assert after(CALM, "fffff").state is State.OPEN


def test_what_opened_it_can_be_seen_until_it_closes() -> None:
    """The failures in a row, those of probes among them, and the window."""
    breaker = after(CALM, "fffff")
    assert (breaker.failures, rules.totals(breaker, CALM, NOW)) == (5, (5, 5, 0))
    due = breaker.open_until_ms
    for outcome, row in ((Outcome.FAILURE, 6), (Outcome.SUCCESS, 0), (Outcome.SUCCESS, 0)):
        breaker, token, _ = rules.ask(breaker, CALM, due)
        assert token is not None
        breaker, _ = rules.report(breaker, CALM, token, outcome, 1, due, 0.0)
        assert breaker.failures == row
        due = max(due, breaker.open_until_ms)
    assert (breaker.state, breaker.window) == (State.CLOSED, ())


def test_a_success_between_begins_the_row_anew() -> None:
    """Only the row counts, as long as the window has too few calls."""
    assert after(CALM, "ffffsffff").state is State.CLOSED


def test_neutral_answers_neither_trip_nor_heal() -> None:
    """A 429 or a 404 between two failures does not end the row, and a hundred open nothing."""
    assert after(CALM, "n" * 100) == Breaker()
    assert after(CALM, "ffffnnnf").state is State.OPEN


def test_half_of_enough_calls_failing_opens_it() -> None:
    """The failure rate counts from the minimum number of calls on, and a success may reach it."""
    assert after(CALM, "fsfsfsfsf").state is State.CLOSED
    assert after(CALM, "fsfsfsfsfs").state is State.OPEN


def test_slow_calls_open_it_although_they_succeed() -> None:
    """As the slow-call rate says."""
    slow = BreakerSpec(slow_rate=0.8, slow_seconds=2)
    assert after(slow, "s" * 10, took_ms=1999).state is State.CLOSED
    assert after(slow, "s" * 10, took_ms=2000).state is State.OPEN


def test_what_left_the_window_no_longer_counts() -> None:
    """Nine failures spread over time do not meet one of today."""
    breaker = after(CALM, "fsfsfsfsf")
    later = NOW + 61_000
    _, token, _ = rules.ask(breaker, CALM, later)
    assert token is not None
    breaker, _ = rules.report(breaker, CALM, token, Outcome.SUCCESS, 1, later, 0.0)
    assert breaker.state is State.CLOSED
    assert rules.totals(breaker, CALM, later) == (1, 0, 0)


def test_one_probe_at_a_time_and_its_lease_ends_by_itself() -> None:
    """While one probes nobody else does; when it died the next may."""
    breaker = after(CALM, "fffff")
    due = NOW + 30_000
    assert rules.ask(breaker, CALM, due - 1)[1] is None
    breaker, first, _ = rules.ask(breaker, CALM, due)
    assert first is not None
    assert rules.ask(breaker, CALM, due + 119_999)[1] is None
    breaker, second, _ = rules.ask(breaker, CALM, due + 120_000)
    assert second is not None
    late, changes = rules.report(breaker, CALM, first, Outcome.FAILURE, 1, due + 120_001, 0.0)
    assert (late, changes) == (breaker, [])


def test_a_failed_probe_opens_it_for_twice_as_long() -> None:
    """Until the cap, and from the start again after a healthy spell."""
    breaker = after(CALM, "fffff")
    now, spans = NOW, []
    for _ in range(7):
        spans.append(breaker.open_until_ms - now)
        now = breaker.open_until_ms
        breaker, token, _ = rules.ask(breaker, CALM, now)
        assert token is not None
        breaker, _ = rules.report(breaker, CALM, token, Outcome.FAILURE, 1, now, 0.0)
    assert spans == [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]


def test_successes_of_probes_close_it() -> None:
    """As many as the threshold says; the next opening soon after is longer than the first."""
    breaker = after(CALM, "fffff")
    now = breaker.open_until_ms
    for _ in range(2):
        breaker, token, _ = rules.ask(breaker, CALM, now)
        assert token is not None
        breaker, _ = rules.report(breaker, CALM, token, Outcome.SUCCESS, 1, now, 0.0)
    assert breaker.state is State.CLOSED
    relapsed, healthy = breaker, breaker
    for _ in range(5):
        token = BreakerToken(breaker.generation)
        relapsed, _ = rules.report(relapsed, CALM, token, Outcome.FAILURE, 1, now + 1, 0.0)
        healthy, _ = rules.report(healthy, CALM, token, Outcome.FAILURE, 1, now + 600_000, 0.0)
    assert relapsed.openings == 2
    assert healthy.openings == 1


def test_a_late_answer_of_an_earlier_generation_is_ignored() -> None:
    """A call that hung since before the outage does not open the breaker that has recovered."""
    old = BreakerToken(0)
    breaker = after(CALM, "fffff")
    assert rules.report(breaker, CALM, old, Outcome.SUCCESS, 1, NOW + 30_001, 0.0) == (breaker, [])


@pytest.mark.parametrize("state", list(State))
def test_no_traffic_moves_a_pinned_state(state: State) -> None:
    """Neither failures nor successes, until its time is over."""
    breaker, _ = rules.pin(Breaker(), state, NOW + 1000, NOW)
    for outcomes in ("f" * 30, "s" * 30):
        assert after(CALM, outcomes, breaker=breaker).state is state
    settled, changes = rules.settle(breaker, NOW + 1000)
    assert [change.reason for change in changes] == ["pin_ended"]
    assert rules.wait_ms(settled, NOW + 1000) == 0


@given(st.lists(st.tuples(st.sampled_from("fsn"), st.integers(0, 40_000)), max_size=60))
def test_whatever_happens_a_call_passes_in_the_end(history: list[tuple[str, int]]) -> None:
    """No breaker stays shut for longer than its cap, or a probe's lease."""
    breaker, now = Breaker(), NOW
    for letter, step in history:
        now += step
        breaker, token, _ = rules.ask(breaker, CALM, now)
        if token is not None and letter != "n":
            outcome = Outcome.FAILURE if letter == "f" else Outcome.SUCCESS
            breaker, _ = rules.report(breaker, CALM, token, outcome, 1, now, 0.0)
    assert rules.wait_ms(breaker, now) <= 600_000


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_an_opening_lasts_between_its_jitter_and_its_cap(openings: int, draw: float) -> None:
    """So that fleets of breakers do not all probe at once, and none forgets to."""
    spec = BreakerSpec()
    full = min(600_000, 30_000 * 2 ** (openings - 1))
    assert int(full * 0.8) <= rules.open_ms(spec, openings, draw) <= full
