"""Which message of an alert is sent next."""

from __future__ import annotations

from datetime import timedelta

from sisgate.ledger import alerts
from sisgate.ledger.database import Database
from sisgate.ledger.schema import AlertMessage
from tests.contract.ledger.rows import NOW


def test_a_channel_that_is_down_holds_up_no_other(database: Database) -> None:
    """What waits for it was tried; what is new for another one goes first."""
    with database.write() as session:
        for number, channel in enumerate(("mail", "mail", "pager")):
            session.add(
                AlertMessage(
                    channel=channel, title="t", body="b", severity="info", alerts=[],
                    created_at=NOW, state="waiting", not_before=NOW,
                    attempt=0 if channel == "pager" else 3 - number,
                )
            )  # fmt: skip
    found = []
    for _ in range(4):
        with database.write() as session:
            message = alerts.claim(session, NOW, timedelta(minutes=1))
            found.append(None if message is None else (message.channel, message.attempt))
    assert found == [("pager", 1), ("mail", 3), ("mail", 4), None]
