"""What follows from an attempt: pure decisions over two weeks of failures."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sisgate.domain.webhook_events import MessageState, WebhookState
from sisgate.webhooks.outcomes import Consequence, Health, Patience, Result, consequence_of

BEGIN = datetime(2026, 9, 1, tzinfo=UTC)
PATIENCE = Patience()


def after(
    result: Result,
    *,
    now: datetime = BEGIN,
    attempt: int = 1,
    health: Health | None = None,
    draw: float = 0.5,
) -> Consequence:
    """What follows for a message that is due since the beginning."""
    return consequence_of(
        result, attempt=attempt, due_since=BEGIN, health=health or Health(), patience=PATIENCE,
        now=now, draw=draw,
    )  # fmt: skip


@given(st.integers(200, 299))
def test_any_2xx_is_a_delivery_that_heals(status: int) -> None:
    """Whatever had failed before."""
    failing = Health(7, BEGIN, BEGIN)
    done = after(Result(status), health=failing)
    assert done.message is MessageState.DELIVERED
    assert (done.webhook, done.health) == (WebhookState.ACTIVE, Health())


@given(st.one_of(st.none(), st.integers(100, 199), st.integers(300, 599)), st.floats(0, 1))
def test_anything_else_waits_or_ends(status: int | None, draw: float) -> None:
    """410 ends the webhook; all others are tried again, also 4xx and redirects."""
    done = after(Result(status, "no"), draw=draw)
    if status == 410:
        assert (done.message, done.webhook) == (MessageState.DROPPED, WebhookState.ENDED)
        return
    assert (done.message, done.webhook) == (MessageState.WAITING, WebhookState.ACTIVE)
    assert done.not_before is not None
    assert timedelta(0) < done.not_before - BEGIN < timedelta(seconds=10)


@given(st.lists(st.floats(0, 1), min_size=40, max_size=40))
def test_a_message_is_tried_about_a_dozen_times_in_a_day(draws: list[float]) -> None:
    """With a last attempt at its end, after which it is dead."""
    now, attempts = BEGIN, 0
    for draw in draws:
        attempts += 1
        done = after(Result(500), now=now, attempt=attempts, draw=draw)
        if done.message is MessageState.DEAD:
            break
        assert done.not_before is not None
        assert now < done.not_before <= BEGIN + PATIENCE.give_up_after
        now = done.not_before
    assert now == BEGIN + PATIENCE.give_up_after
    assert 10 <= attempts <= 16


@given(st.floats(0, 10**9))
def test_retry_after_is_honoured_and_capped(seconds: float) -> None:
    """For the webhook as a whole; a receiver cannot silence it for ever."""
    done = after(Result(429, "no", seconds))
    if seconds:
        assert done.health.not_before == BEGIN + timedelta(seconds=min(seconds, 3600))
    assert done.not_before is not None
    assert done.not_before >= (done.health.not_before or BEGIN)


def test_a_webhook_is_paused_only_when_nothing_has_worked_for_days() -> None:
    """Neither by a few failures after a long silence, nor by many in one day."""
    late = BEGIN + timedelta(days=3)
    assert after(Result(500), now=late, health=Health(1, BEGIN)).webhook is WebhookState.ACTIVE
    many = after(Result(500), now=late - timedelta(hours=1), health=Health(99, BEGIN))
    assert many.webhook is WebhookState.ACTIVE
    assert after(Result(500), now=late, health=Health(99, BEGIN)).webhook is WebhookState.PAUSED
