"""What follows from an attempt to deliver a message. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sisgate.domain.webhook_events import DeliveryResult, MessageState, WebhookState

DELAYS_SECONDS = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 14400, 14400)
"""How long a message waits after its first failure, its second, and so on: about 15 hours in all.

The last one is repeated until it is given up.
"""

JITTER = 0.25
"""A delay is drawn from this share below it to this share above it."""

LONGEST_WAIT_SECONDS = 3600.0
"""How long nothing is sent to a receiver that keeps failing, or asks to be left alone, at most."""

FAILURES_IN_A_ROW = 3
"""Failures in a row before other messages wait as well."""

FEWEST_FAILURES = 5
"""A webhook is paused after so many failures in a row at the earliest."""

GONE, THROTTLED, FAILS_FROM = 410, 429, 500


@dataclass(frozen=True)
class Result:
    """What came of one attempt. `status` None: there was no response, and `error` says why.

    `was_sent` is whether the receiver may have it.
    """

    status: int | None = None
    error: str | None = None
    retry_after_seconds: float | None = None
    elapsed_ms: int = 0
    address: str | None = None
    was_sent: bool = False

    @property
    def kind(self) -> DeliveryResult:
        """The result in a word, for metrics.

        >>> Result(404).kind.value, Result(error="Not sent: no connection.").kind.value
        ('refused', 'not_sent')
        """
        if self.is_delivered:
            return DeliveryResult.DELIVERED
        if self.status is None:
            return DeliveryResult.NO_RESPONSE if self.was_sent else DeliveryResult.NOT_SENT
        if self.status == THROTTLED:
            return DeliveryResult.THROTTLED
        return DeliveryResult.FAILED if self.status >= FAILS_FROM else DeliveryResult.REFUSED

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has it: any 2xx."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Health:
    """How a webhook fares: failures since the last delivery, and since when."""

    failures: int = 0
    failing_since: datetime | None = None
    not_before: datetime | None = None


@dataclass(frozen=True)
class Patience:
    """How long it is tried; see `sisgate.settings.webhooks`."""

    give_up_after: timedelta = timedelta(days=1)
    pause_after: timedelta = timedelta(days=3)


@dataclass(frozen=True)
class Consequence:
    """What becomes of message and webhook."""

    message: MessageState
    not_before: datetime | None
    webhook: WebhookState
    health: Health


def consequence_of(
    result: Result,
    *,
    attempt: int,
    due_since: datetime,
    health: Health,
    patience: Patience,
    now: datetime,
    draw: float,
) -> Consequence:
    """Return what follows from an attempt; `draw` is between 0 and 1, for the jitter.

    A message that is waiting for others to succeed spends no attempt. One that fails is given up
    `give_up_after` it was due first, with an attempt at that very time.
    """
    if result.is_delivered:
        return Consequence(MessageState.DELIVERED, None, WebhookState.ACTIVE, Health())
    failures = health.failures + 1
    since = health.failing_since or now
    if result.status == GONE:
        ended = Health(failures, since)
        return Consequence(MessageState.DROPPED, None, WebhookState.ENDED, ended)
    asked = min(result.retry_after_seconds or 0.0, LONGEST_WAIT_SECONDS)
    all_wait = max(asked, _pause_of(failures))
    until = now + timedelta(seconds=all_wait) if all_wait else None
    health = Health(failures, since, until)
    is_hopeless = failures >= FEWEST_FAILURES and now - since >= patience.pause_after
    webhook = WebhookState.PAUSED if is_hopeless else WebhookState.ACTIVE
    end = due_since + patience.give_up_after
    if now >= end:
        return Consequence(MessageState.DEAD, None, webhook, health)
    delay = timedelta(seconds=max(asked, delay_after(attempt, draw)))
    return Consequence(MessageState.WAITING, min(now + delay, end), webhook, health)


def delay_after(attempt: int, draw: float) -> float:
    """Return the seconds that a message waits after an attempt failed, counted from 1.

    >>> delay_after(1, 0.5), delay_after(4, 0.5), delay_after(99, 0.0)
    (5.0, 600.0, 10800.0)
    """
    base = DELAYS_SECONDS[min(attempt, len(DELAYS_SECONDS)) - 1]
    return base * (1 - JITTER + 2 * JITTER * draw)


def _pause_of(failures: int) -> float:
    """Return for how long nothing is sent after so many failures in a row.

    >>> [_pause_of(n) for n in (1, 2, 3, 4, 30)]
    [0.0, 0.0, 5.0, 10.0, 3600.0]
    """
    if failures < FAILURES_IN_A_ROW:
        return 0.0
    return min(5.0 * (1 << min(failures - FAILURES_IN_A_ROW, 20)), LONGEST_WAIT_SECONDS)
