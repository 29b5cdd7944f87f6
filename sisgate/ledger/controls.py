"""What a person has set for a provider at run time, kept where a wiped Redis cannot lose it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sisgate.domain.rates import Rate
from sisgate.ledger.schema import Control


def get(session: Session, provider: str) -> Control | None:
    """Return what is set for a provider, or None."""
    return session.get(Control, provider)


def lock(session: Session, provider: str, now: datetime) -> Control:
    """Return what is set for a provider, locked until the transaction ends; made if need be."""
    found = session.scalar(select(Control).where(Control.provider == provider).with_for_update())
    if found is None:
        found = Control(provider=provider, paused=False, changed_at=now)
        session.add(found)
    return found


def windows_of(control: Control | None) -> tuple[Rate, ...] | None:
    """Return the limits that are set, or None where those of the configuration hold."""
    if control is None or control.windows is None:
        return None
    return tuple(Rate.parse(text) for text in control.windows)


def stored(windows: Sequence[Rate] | None) -> list[str] | None:
    """Return limits as they are stored."""
    return None if windows is None else [str(rate) for rate in windows]
