"""When the breakers of endpoints changed, in the ledger."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sisgate.domain.service_levels import StateChange
from sisgate.ledger.schema import BreakerChange

BY_HAND = "pinned"
CLOSED = "closed"


def note(session: Session, changes: Iterable[BreakerChange]) -> None:
    """Add changes of breakers. Who adds sees to it that each is added once."""
    session.add_all(changes)


def before(
    session: Session, until: datetime, provider: str | None = None, *, by_hand: bool = False
) -> dict[str, list[StateChange]]:
    """Return the changes before a time, by provider, oldest first.

    An endpoint is down while its breaker is not closed by itself, or `by_hand`.
    """
    query = select(BreakerChange).where(BreakerChange.at < until)
    if provider is not None:
        query = query.where(BreakerChange.provider == provider)
    found: dict[str, list[StateChange]] = {}
    for row in session.scalars(query.order_by(BreakerChange.at, BreakerChange.entry)):
        is_down = row.state != CLOSED and (row.reason == BY_HAND) is by_hand
        found.setdefault(row.provider, []).append(StateChange(row.at, row.endpoint, is_down))
    return found
