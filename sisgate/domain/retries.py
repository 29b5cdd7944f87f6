"""Whether and when a failed call is tried again, and how many retries run at a time. Pure.

The wait is exponential with full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog,
2015); the budget is that of Envoy's circuit breakers (`RetryBudget` with `budget_percent` and
`min_retry_concurrency`, `config.cluster.v3.CircuitBreakers` of Envoy 1.39).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How one provider's calls are tried again.

    `tries`: how often the provider may fail one call before the call fails. `base_seconds` and
    `cap_seconds`: the longest wait after the first failure, and after any. `budget`: the share of
    the running calls that may be retries; `min_concurrency` of them run in any case.
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
        """Return how many retries may be out while so many calls of the provider run.

        >>> [RetryPolicy().retries_allowed(n) for n in (0, 10, 19, 20, 100)]
        [3, 3, 3, 4, 20]
        """
        return max(self.min_concurrency, floor(self.budget * running + 1e-9))


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of a call that the provider failed.

    `tries`: its failures before this one. `may_be_done`: it changes something at the provider and
    was sent, so it may have been carried out. `asked_seconds`: what Retry-After asks for, capped.
    """

    tries: int
    may_be_done: bool = False
    asked_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TryAgain:
    """It is tried again after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It has failed so many times: no more."""

    tries: int


@dataclass(frozen=True, slots=True)
class MayBeDone:
    """It must not be repeated, because it may have been carried out."""


def decide(policy: RetryPolicy, failure: Failure, jitter: float) -> TryAgain | GiveUp | MayBeDone:
    """Return what becomes of a failed call; `jitter` is a random number in [0, 1].

    What the provider asks for is waited for in full, and the jitter comes on top, so that all
    who were told the same time don't come back at once.

    >>> decide(RetryPolicy(), Failure(tries=0, asked_seconds=30.0), jitter=0.5)
    TryAgain(seconds=31.0)
    >>> decide(RetryPolicy(), Failure(tries=4), jitter=0.5)
    GiveUp(tries=5)
    >>> decide(RetryPolicy(), Failure(tries=0, may_be_done=True), jitter=0.5)
    MayBeDone()
    """
    if failure.may_be_done:
        return MayBeDone()
    failures = failure.tries + 1
    if failures >= policy.tries:
        return GiveUp(failures)
    return TryAgain(failure.asked_seconds + policy.backoff_seconds(failures, jitter))
