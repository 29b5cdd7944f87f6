"""The adaptive throttle: what a response means for the pace of its provider. Pure.

Additive increase, multiplicative decrease (Chiu and Jain 1989, as in TCP). The factor scales the
refill of the token bucket; the sliding window stays the hard cap whatever the factor. A decision
applies to the factor at its call's grant (`Limiter.set_factor(…, was=…)`): of a hundred calls in
flight that are all refused, only the first halves the pace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sisgate.domain.rates import MAX_BLOCK_SECONDS, parse_rate_hint, parse_retry_after
from sisgate.domain.response_class import Pace, of_status

FACTOR_FLOOR = 0.05
"""The factor never goes below this: some calls must go out to learn from."""

RECOVERY_STEP = 0.02
"""What each success adds: from the floor to full pace takes about fifty."""

LATENCY_TOLERANCE = 2.0
"""Responses may take this many times as long as usual before the pace is lowered."""

LATENCY_UNSUSPICIOUS_SECONDS = 0.5
"""Faster responses are no sign of load, however much slower than usual they are."""

LATENCY_LEAST_ANSWERS = 50
"""The usual latency is unknown before this many responses."""

LATENCY_STEP = 0.9
"""One slow response scales the factor by no less than this."""

FOREIGN_USE = 0.8
"""If less than this share of our own count is left, somebody else is using the quota."""


@dataclass(frozen=True, slots=True)
class LatencyTrend:
    """Two moving averages of latency: `recent` over about 10 responses, `usual` over 500.

    Over fewer `answers` they are the plain mean, so that the first ones do not weigh more: a
    provider whose responses take 0 to 5 seconds at random is not slow because the first was quick.

    >>> LatencyTrend().seen(0.2).seen(0.4)
    LatencyTrend(recent=0.30000000000000004, usual=0.30000000000000004, answers=2)
    """

    recent: float = 0.0
    usual: float = 0.0
    answers: int = 0

    def seen(self, seconds: float) -> LatencyTrend:
        """Return the trend after one more response."""
        answers = self.answers + 1
        return LatencyTrend(
            self.recent + (seconds - self.recent) / min(answers, 10),
            self.usual + (seconds - self.usual) / min(answers, 500),
            answers,
        )

    @property
    def gradient(self) -> float:
        """How much of the pace the latency allows: 1 up to twice the usual, then less."""
        is_known = self.answers >= LATENCY_LEAST_ANSWERS
        if not is_known or self.recent < LATENCY_UNSUSPICIOUS_SECONDS:
            return 1.0
        return min(1.0, LATENCY_TOLERANCE * self.usual / self.recent)


@dataclass(frozen=True, slots=True)
class ThrottleSignal:
    """What a call returned. `status` is None without a response.

    `permits_left` is the least that our own windows had left: without it a provider's hints on
    successful responses are ignored, because a provider whose limit we fully use always reports
    that nothing is left.
    """

    status: int | None
    headers: Mapping[str, str]
    latency: LatencyTrend = LatencyTrend()
    permits_left: int | None = None


@dataclass(frozen=True, slots=True)
class ThrottleDecision:
    """The next factor, and how long to block, 0 for not at all."""

    factor: float
    block_seconds: float
    reason: Literal["refused", "hint", "latency", "recovery", "unchanged"]


def decide(
    factor: float, answer: ThrottleSignal, now: datetime, *, cap_seconds: float = MAX_BLOCK_SECONDS
) -> ThrottleDecision:
    """Return what to do after the response to a call that was granted under `factor`.

    429 and 503 lower the factor and block for the time of Retry-After or until an empty quota
    resets; a 429 without either blocks for 1/factor seconds, which doubles each time. Other 5xx and
    lost responses change nothing: they are the breaker's. All else is success and raises the
    factor, unless hints or latency lower it.

    >>> from datetime import UTC
    >>> now = datetime(2026, 9, 1, tzinfo=UTC)
    >>> decide(1.0, ThrottleSignal(429, {"Retry-After": "7"}), now)
    ThrottleDecision(factor=0.5, block_seconds=7.0, reason='refused')
    >>> decide(0.5, ThrottleSignal(200, {}), now)
    ThrottleDecision(factor=0.52, block_seconds=0.0, reason='recovery')
    """
    pace = of_status(answer.status).rule.pace
    if pace.leaves < 1:
        lowered = max(FACTOR_FLOOR, factor * pace.leaves)
        block = _block_seconds(answer, pace, lowered, now, cap_seconds)
        return ThrottleDecision(lowered, block, "refused")
    if not pace.recovers:
        return ThrottleDecision(factor, 0.0, "unchanged")
    hinted = _follow_hint(factor, answer, now, cap_seconds)
    if hinted is not None:
        return hinted
    allowed = max(FACTOR_FLOOR, answer.latency.gradient)
    if factor > allowed:
        return ThrottleDecision(max(allowed, factor * LATENCY_STEP), 0.0, "latency")
    raised = min(allowed, factor + RECOVERY_STEP)
    return ThrottleDecision(raised, 0.0, "recovery" if raised > factor else "unchanged")


def _block_seconds(
    answer: ThrottleSignal, pace: Pace, factor: float, now: datetime, cap_seconds: float
) -> float:
    retry_after = next(
        (value for name, value in answer.headers.items() if name.lower() == "retry-after"), None
    )
    seconds = parse_retry_after(retry_after, now, cap_seconds=cap_seconds)
    if seconds is not None and seconds > 0:
        return seconds
    hint = parse_rate_hint(answer.headers, now, cap_seconds=cap_seconds)
    if hint.remaining == 0 and hint.reset_seconds:
        return hint.reset_seconds
    return min(cap_seconds, 1 / factor) if pace.always_blocks else 0.0


def _follow_hint(
    factor: float, answer: ThrottleSignal, now: datetime, cap_seconds: float
) -> ThrottleDecision | None:
    """Slow down or stop if the provider has clearly less left than our own count says."""
    believed = answer.permits_left
    hint = parse_rate_hint(answer.headers, now, cap_seconds=cap_seconds)
    if believed is None or believed < 2 or hint.remaining is None:
        return None
    share = hint.remaining / believed
    if share >= FOREIGN_USE:
        return None
    block = (hint.reset_seconds or 0.0) if hint.remaining == 0 else 0.0
    return ThrottleDecision(max(FACTOR_FLOOR, min(factor, share)), block, "hint")
