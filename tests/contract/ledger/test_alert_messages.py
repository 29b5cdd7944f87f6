"""Which message of an alert is sent next, and who may write an evaluation."""

from datetime import timedelta

import pytest

from sisgate.ledger import alerts
from sisgate.ledger.database import Database
from sisgate.ledger.schema import AlertMessage
from tests.contract.ledger.rows import NOW

LEASE = timedelta(minutes=1)


@pytest.fixture
def outbox(database: Database) -> Database:
    """A ledger with two messages for mail, of which the first was tried, and one for a pager."""
    with database.write() as session:
        for channel, later in (("mail", 10), ("mail", 0), ("pager", 0)):
            session.add(
                AlertMessage(
                    channel=channel, title="t", body="b", severity="info", alerts=[],
                    created_at=NOW, state="waiting", attempt=later,
                    not_before=NOW + timedelta(minutes=later),
                )
            )  # fmt: skip
    return database


def claim(database: Database, channel: str, minutes: float) -> int | None:
    """Claim what is next; return its number."""
    with database.write() as session:
        message = alerts.claim(session, channel, NOW + timedelta(minutes=minutes), LEASE)
        return None if message is None else message.id


def due(database: Database, minutes: float) -> list[str]:
    """Return the channels with something to send."""
    with database.read() as session:
        return sorted(alerts.due_channels(session, NOW + timedelta(minutes=minutes)))


def test_a_channel_that_is_down_holds_up_no_other(outbox: Database) -> None:
    """Only what waits behind its first message: an end never arrives before its beginning."""
    assert due(outbox, 0) == ["pager"]
    assert claim(outbox, "mail", 0) is None
    assert claim(outbox, "pager", 0) == 3
    assert due(outbox, 10) == ["mail", "pager"]
    assert claim(outbox, "mail", 10) == 1
    assert due(outbox, 10.5) == ["pager"]
    with outbox.write() as session:
        alerts.settle(session, 1, 11, state="sent")
    assert claim(outbox, "mail", 10.5) == 2


def test_what_waits_is_counted_by_channel(outbox: Database) -> None:
    """With the error of the one that is tried."""
    assert claim(outbox, "pager", 0) == 3
    with outbox.write() as session:
        alerts.settle(session, 3, 1, error="down")
    with outbox.read() as session:
        assert [tuple(row) for row in alerts.waiting_by_channel(session)] == [
            ("mail", 2, NOW, None), ("pager", 1, NOW, "down"),
        ]  # fmt: skip
        assert [tuple(row) for row in alerts.undelivered(session)] == [
            ("mail", []), ("mail", []), ("pager", []),
        ]  # fmt: skip


def test_a_process_that_ends_keeps_no_message(outbox: Database) -> None:
    """Its lease ends; what it writes then counts no more."""
    assert claim(outbox, "pager", 0) == 3
    assert claim(outbox, "pager", 0.5) is None
    assert claim(outbox, "pager", 1) == 3
    with outbox.write() as session:
        assert not alerts.settle(session, 3, 1, state="sent")
        assert alerts.settle(session, 3, 2, state="sent")


def test_a_test_of_a_channel_lets_all_that_waits_be_tried(outbox: Database) -> None:
    """Whose URL was corrected, for instance."""
    with outbox.write() as session:
        alerts.hurry(session, "mail", NOW)
    assert claim(outbox, "mail", 0) == 1


def test_an_evaluation_counts_only_on_top_of_what_it_has_read(database: Database) -> None:
    """Of two that have read the same, one is too late, whichever slot it is for."""

    def take(slot: int, seen: int | None) -> bool:
        with database.write() as session:
            return alerts.take_slot(session, slot, seen, NOW)

    assert [take(5, None), take(6, None)] == [True, False]
    assert [take(5, 5), take(7, 5), take(8, 5), take(8, 7)] == [False, True, False, True]
