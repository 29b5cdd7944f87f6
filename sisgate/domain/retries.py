"""Whether and when a failed call is retried, and how many retries run at a time. Pure.

The wait is exponential with full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog,
2015); the budget is that of Envoy's circuit breakers (`RetryBudget` with `budget_percent` and
`min_retry_concurrency`, `config.cluster.v3.CircuitBreakers` of Envoy 1.39).
"""

from dataclasses import dataclass
from enum import Enum
from math import floor


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How one provider's calls are retried.

    `tries`: how often a call may fail by its own fault before it is given up. `base_seconds` and
    `cap_seconds`: the longest wait after the first failure, and after any. `budget`: the share of
    the running calls that may be retries; `min_concurrency` of them may always run.
    """

    tries: int = 5
    base_seconds: float = 2.0
    cap_seconds: float = 120.0
    budget: float = 0.2
    min_concurrency: int = 3

    def backoff_seconds(self, failures: int, jitter: float) -> float:
        """Return the wait after the n-th failure: `jitter * min(cap, base * 2 ** (n - 1))`.

        `jitter` is a random number in [0, 1].

        >>> [RetryPolicy().backoff_seconds(n, 1.0) for n in (1, 2, 3, 100)]
        [2.0, 4.0, 8.0, 120.0]
        """
        doublings = min(failures - 1, 64)  # beyond that the cap holds, and floats overflow
        ceiling: float = min(self.cap_seconds, self.base_seconds * 2**doublings)
        return ceiling * jitter

    def retries_allowed(self, running: int) -> int:
        """Return how many retries may run while `running` calls of the provider run.

        >>> [RetryPolicy().retries_allowed(n) for n in (0, 10, 19, 20, 100)]
        [3, 3, 3, 4, 20]
        """
        return max(self.min_concurrency, floor(self.budget * running + 1e-9))


class Blame(Enum):
    """Whose fault a failure is: the call's if the endpoint answers other requests."""

    CALL = "call"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that the provider failed.

    `tries`: attempts spent before this failure. `may_be_done`: it changes something at the provider
    and was sent, so it may have been carried out. `asked_seconds`: the Retry-After, capped. `blame`
    None: not determined, as after a first failure. `in_a_row`: the endpoint's failures in a row
    including this one, if known.
    """

    tries: int
    may_be_done: bool = False
    asked_seconds: float = 0.0
    blame: Blame | None = None
    in_a_row: int = 0

    def asks_for_blame(self, policy: RetryPolicy, *, has_failed: bool) -> bool:
        """Return whether the failure must be attributed: at the second one, and the last."""
        return has_failed or self.tries + 1 >= policy.tries


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Retry after `seconds`."""

    seconds: float
    spends_try: bool = True


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No more attempts after `tries` failures."""

    tries: int


@dataclass(frozen=True, slots=True)
class MayBeDone:
    """Do not repeat it: it may have been carried out."""


def decide(policy: RetryPolicy, failure: Failure, jitter: float) -> TryAgain | GiveUp | MayBeDone:
    """Return what becomes of a failed call; `jitter` is a random number in [0, 1].

    An endpoint that fails every request has an outage, which is its breaker's business: it spends
    no attempts, however long it lasts. A call is given up only if the endpoint is otherwise well.

    A Retry-After is waited for in full, and jitter is added, so that calls given the same time do
    not retry simultaneously.

    >>> decide(RetryPolicy(), Failure(tries=0, asked_seconds=30.0), jitter=0.5)
    TryAgain(seconds=31.0, spends_try=True)
    >>> decide(RetryPolicy(), Failure(tries=4, blame=Blame.CALL), jitter=0.5)
    GiveUp(tries=5)
    >>> decide(RetryPolicy(), Failure(tries=4, blame=Blame.ENDPOINT, in_a_row=5), jitter=0.5)
    TryAgain(seconds=16.0, spends_try=False)
    >>> decide(RetryPolicy(), Failure(tries=0, may_be_done=True), jitter=0.5)
    MayBeDone()
    """
    if failure.may_be_done:
        return MayBeDone()
    failures = failure.tries + 1
    if failure.blame is Blame.ENDPOINT:
        wait = policy.backoff_seconds(max(failures, failure.in_a_row), jitter)
        return TryAgain(failure.asked_seconds + wait, spends_try=False)
    if failures >= policy.tries:
        return GiveUp(failures)
    return TryAgain(failure.asked_seconds + policy.backoff_seconds(failures, jitter))
