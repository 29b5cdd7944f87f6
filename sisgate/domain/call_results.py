"""What became of one call, as it is counted: one result for each attempt that a worker claimed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sisgate.domain.latencies import LatencySketch
from sisgate.domain.response_class import ResponseClass, of_status
from sisgate.errors import AnswerInvalid, ProviderUnavailable

CALL_OUTCOME = "workers:call:outcome"
"""The audit event that tells how an attempt ended."""


class CallResult(StrEnum):
    """What came of an attempt."""

    OK = "ok"
    """The provider answered, and the answer could be used."""

    REJECTED = "rejected"
    """The provider answered that the request is wrong: 4xx but for the following."""

    UNAUTHORIZED = "unauthorized"
    """The provider refused the key: 401 or 403."""

    THROTTLED = "throttled"
    """The provider asked to wait: 429."""

    SERVER_ERROR = "server_error"
    """The provider answered 5xx."""

    INVALID = "invalid"
    """The provider's answer could not be used."""

    NO_RESPONSE = "no_response"
    """The request was sent, and no answer came."""

    UNREACHABLE = "unreachable"
    """No connection, or no token because of the token endpoint: nothing was sent."""

    LOST = "lost"
    """The worker was lost; the provider may have seen the request."""

    NOT_SENT = "not_sent"
    """Nothing was sent, and not because of the provider: no permit, no key, an outage of ours."""

    @property
    def is_good(self) -> bool:
        """Whether the provider did what it should."""
        return self in {CallResult.OK, CallResult.REJECTED}

    @property
    def is_bad(self) -> bool:
        """Whether the provider failed. What is neither good nor bad says nothing about it."""
        return self in _BAD

    @property
    def was_sent(self) -> bool:
        """Whether a request was sent. Nobody knows of a `LOST` one: it is not counted as sent."""
        return self not in {CallResult.LOST, CallResult.NOT_SENT, CallResult.UNREACHABLE}


_BAD = frozenset(
    {
        CallResult.SERVER_ERROR, CallResult.INVALID, CallResult.NO_RESPONSE, CallResult.UNREACHABLE,
    }
)  # fmt: skip


STAGES = ("queue", "permit", "ledger", "provider")
"""What the time of a call is spent on; each has its latencies.

`queue` is from its publishing to its claim. Of that, `permit` is how long the provider's next call
waited for a permit. `ledger` is the transaction that claims it, `provider` the HTTP request.
"""


@dataclass
class CallTally:
    """Calls that were counted together. `rows` came with them."""

    calls: int = 0
    rows: int = 0
    latencies: dict[str, LatencySketch] = field(default_factory=dict)
    """By stage; a stage that no call told of is left out."""

    def add(self, rows: int, latencies_ms: Mapping[str, float]) -> None:
        """Count one call."""
        self.calls += 1
        self.rows += rows
        for stage, latency in latencies_ms.items():
            self.latencies.setdefault(stage, LatencySketch()).add(latency)

    def merge(self, other: CallTally) -> None:
        """Count all calls of another tally."""
        self.calls += other.calls
        self.rows += other.rows
        for stage, sketch in other.latencies.items():
            self.latencies.setdefault(stage, LatencySketch()).merge(sketch)

    def latency(self, stage: str) -> LatencySketch:
        """Return the latencies of a stage; an empty sketch if none are known."""
        return self.latencies.get(stage) or LatencySketch()


def result_of(status: int | None, *, outcome: str, error: str | None, was_sent: bool) -> CallResult:
    """Return the result of an attempt from the event of its end.

    `outcome` is how the audit log names that end, `error` the code of its error.

    >>> result_of(503, outcome="waits", error="provider_unavailable", was_sent=True).value
    'server_error'
    """
    is_invalid = error == AnswerInvalid.code
    if outcome == "lost":
        return CallResult.LOST
    if status is None:
        if was_sent:
            return CallResult.INVALID if is_invalid else CallResult.NO_RESPONSE
        is_unreachable = error == ProviderUnavailable.code
        return CallResult.UNREACHABLE if is_unreachable else CallResult.NOT_SENT
    match of_status(status):
        case ResponseClass.RATE_LIMITED:
            return CallResult.THROTTLED
        case ResponseClass.KEY_REFUSED:
            return CallResult.UNAUTHORIZED
        case ResponseClass.OVERLOADED | ResponseClass.UNAVAILABLE | ResponseClass.TIMED_OUT:
            return CallResult.SERVER_ERROR
        case ResponseClass.DONE if outcome != "failed" and not is_invalid:
            return CallResult.OK
        case _:
            return CallResult.INVALID if is_invalid else CallResult.REJECTED
