"""Whether and when a failed call is tried again is one decision, made without looking around."""

from hypothesis import given
from hypothesis import strategies as st

from sisgate.domain.retries import Failure, GiveUp, MayBeDone, RetryPolicy, TryAgain, decide

policies = st.builds(
    RetryPolicy,
    tries=st.integers(1, 100),
    base_seconds=st.floats(0.001, 60),
    cap_seconds=st.floats(60, 3600),
    budget=st.floats(0, 1),
    min_concurrency=st.integers(1, 20),
)
failures = st.builds(
    Failure, tries=st.integers(0, 200), may_be_done=st.booleans(), asked_seconds=st.floats(0, 3600)
)
jitters = st.floats(0, 1)


@given(policies, failures, jitters)
def test_what_may_be_done_is_never_repeated(
    policy: RetryPolicy, failure: Failure, jitter: float
) -> None:
    """Whatever else is true of it, and nothing else is called that."""
    assert (decide(policy, failure, jitter) == MayBeDone()) == failure.may_be_done


@given(policies, st.integers(0, 200), jitters)
def test_a_call_fails_after_its_tries_and_not_before(
    policy: RetryPolicy, tries: int, jitter: float
) -> None:
    """The n-th failure is the last one."""
    decision = decide(policy, Failure(tries), jitter)
    assert isinstance(decision, GiveUp) == (tries + 1 >= policy.tries)


@given(policies, st.integers(0, 90), jitters, st.floats(0, 3600))
def test_the_wait_is_bounded_and_never_shorter_than_asked(
    policy: RetryPolicy, tries: int, jitter: float, asked: float
) -> None:
    """From what Retry-After asks for to the cap beyond it."""
    decision = decide(policy, Failure(tries, asked_seconds=asked), jitter)
    if isinstance(decision, TryAgain):
        assert asked <= decision.seconds <= asked + policy.cap_seconds


@given(policies, st.integers(1, 90))
def test_the_jitter_is_full(policy: RetryPolicy, failures: int) -> None:
    """A wait may be anything from nothing to the ceiling, which doubles up to the cap."""
    assert policy.backoff_seconds(failures, 0.0) == 0.0
    ceiling = policy.backoff_seconds(failures, 1.0)
    assert ceiling <= policy.cap_seconds
    following = policy.backoff_seconds(failures + 1, 1.0)
    assert following == min(policy.cap_seconds, 2 * ceiling)


@given(policies, st.integers(0, 100_000))
def test_retries_are_a_share_of_what_runs_or_a_few(policy: RetryPolicy, running: int) -> None:
    """Never more than the larger of the two."""
    allowed = policy.retries_allowed(running)
    assert allowed >= policy.min_concurrency
    assert allowed <= max(policy.min_concurrency, policy.budget * running + 1e-6)
    assert policy.retries_allowed(running + 1) >= allowed


def test_without_a_budget_a_few_retries_still_run() -> None:
    """A share of nothing is nothing; the minimum holds."""
    assert RetryPolicy(budget=0.0).retries_allowed(1000) == 3
