"""The adaptive throttle: what an answer means for the pace of its provider. Pure.

Additive increase, multiplicative decrease (Chiu and Jain 1989, as in TCP). The factor scales the
refill of the token bucket; the sliding window stays the hard cap whatever the factor is. A decision
is meant for the factor its call was granted under (`Limiter.set_factor(…, was=…)`): of a hundred
calls in flight that are all refused only the first one halves the pace.
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
"""What each success adds: about fifty from the floor to full pace."""

LATENCY_TOLERANCE = 2.0
"""Answers may take so many times the usual before the pace is lowered."""

LATENCY_UNSUSPICIOUS_SECONDS = 0.5
"""Faster answers are no sign of load, however much slower than usual they are."""

LATENCY_LEAST_ANSWERS = 50
"""What is usual is not known before so many answers."""

LATENCY_STEP = 0.9
"""The most that one slow answer leaves of the factor."""

FOREIGN_USE = 0.8
"""Less than this share of what we believe is left means that somebody else spends the quota."""


@dataclass(frozen=True, slots=True)
class LatencyTrend:
    """Two moving averages of latency: `recent` follows within about 10 answers, `usual` 500.

    Of fewer `answers` they are the plain mean, so that the first ones do not weigh more than
    others: a provider whose answers take 0 to 5 seconds at random is not slow because the first
    one was quick.

    >>> LatencyTrend().seen(0.2).seen(0.4)
    LatencyTrend(recent=0.30000000000000004, usual=0.30000000000000004, answers=2)
    """

    recent: float = 0.0
    usual: float = 0.0
    answers: int = 0

    def seen(self, seconds: float) -> LatencyTrend:
        """Return the trend after one more answer."""
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
    """What came back. `status` is None when nothing did.

    `permits_left` is what our own windows had left (the least of them): only with it are a
    provider's hints on good answers considered, because a provider whose limit we use to the full
    always says that nothing is left.
    """

    status: int | None
    headers: Mapping[str, str]
    latency: LatencyTrend = LatencyTrend()
    permits_left: int | None = None


@dataclass(frozen=True, slots=True)
class ThrottleDecision:
    """The factor to go on with and for how long to block; 0 for not at all."""

    factor: float
    block_seconds: float
    reason: Literal["refused", "hint", "latency", "recovery", "unchanged"]


def decide(
    factor: float, answer: ThrottleSignal, now: datetime, *, cap_seconds: float = MAX_BLOCK_SECONDS
) -> ThrottleDecision:
    """Return what to do after an answer to a call that was granted under `factor`.

    429 and 503 lower the factor and block for what Retry-After or the reset of an empty quota ask
    for; a 429 that says nothing blocks for 1/factor seconds, which doubles each time. Other 5xx and
    lost answers change nothing: they are the breaker's. All else is success and raises the factor,
    unless hints or latency lower it.

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
    asked = parse_retry_after(retry_after, now, cap_seconds=cap_seconds)
    if asked is not None and asked > 0:
        return asked
    hint = parse_rate_hint(answer.headers, now, cap_seconds=cap_seconds)
    if hint.remaining == 0 and hint.reset_seconds:
        return hint.reset_seconds
    return min(cap_seconds, 1 / factor) if pace.always_blocks else 0.0


def _follow_hint(
    factor: float, answer: ThrottleSignal, now: datetime, cap_seconds: float
) -> ThrottleDecision | None:
    """Slow down or stop where the provider has clearly less left than we believe."""
    believed = answer.permits_left
    hint = parse_rate_hint(answer.headers, now, cap_seconds=cap_seconds)
    if believed is None or believed < 2 or hint.remaining is None:
        return None
    share = hint.remaining / believed
    if share >= FOREIGN_USE:
        return None
    block = (hint.reset_seconds or 0.0) if hint.remaining == 0 else 0.0
    return ThrottleDecision(max(FACTOR_FLOOR, min(factor, share)), block, "hint")
