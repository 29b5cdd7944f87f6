"""What a person has set for a provider at run time, kept where a wiped Redis cannot lose it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from sisgate.domain.rates import Rate
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Control
from sisgate.ledger.statements import lock_or_make


@dataclass(frozen=True, slots=True)
class Pin:
    """A breaker's state fixed by hand, until a time or, with None, until that is taken back."""

    state: str
    until: datetime | None = None


Setting = Literal["pause", "limits", "breaker"]
"""What a person can set by hand."""


@dataclass(frozen=True, slots=True)
class SetBy:
    """Who set something by hand, when, and why if that was said."""

    actor: str
    at: datetime
    reason: str | None = None


def get(session: Session, provider: str) -> Control | None:
    """Return what is set for a provider, or None."""
    return session.get(Control, provider)


def all_set(session: Session) -> Sequence[Control]:
    """Return what is set for any provider."""
    return session.scalars(select(Control).order_by(Control.provider)).all()


def note_block(session: Session, provider: str, until: datetime, now: datetime) -> None:
    """Keep until when a provider wants no calls. Redis knows it too, until it is wiped."""
    control = lock(session, provider, now)
    if control.blocked_until is None or control.blocked_until < until:
        control.blocked_until = until


def lock(session: Session, provider: str, now: datetime) -> Control:
    """Return what is set for a provider, locked until the transaction ends; made if need be."""
    return lock_or_make(session, Control, provider=provider, paused=False, changed_at=now)


@contextmanager
def unchanging(database: Database, provider: str, now: datetime) -> Iterator[Control]:
    """Give what is set for a provider, which nobody changes within the block.

    For writing it to Redis: a process that is slow in between would put back what was set before.
    """
    with database.write() as session:
        yield lock(session, provider, now)


def note_setter(
    control: Control, setting: Setting, actor: str, now: datetime, reason: str | None
) -> None:
    """Note who has set something."""
    noted = {"actor": actor, "at": now.isoformat(), "reason": reason}
    control.set_by = {**(control.set_by or {}), setting: noted}
    control.changed_at = now


def setter_of(control: Control | None, setting: Setting) -> SetBy | None:
    """Return who set something last; None if nobody did, or before it was noted."""
    noted = (control.set_by or {}).get(setting) if control is not None else None
    if noted is None:
        return None
    return SetBy(noted["actor"], datetime.fromisoformat(noted["at"]), noted["reason"])


def windows_of(control: Control | None) -> tuple[Rate, ...] | None:
    """Return the limits that are set, or None where those of the configuration hold."""
    if control is None or control.windows is None:
        return None
    return tuple(Rate.parse(text) for text in control.windows)


def stored(windows: Sequence[Rate] | None) -> list[str] | None:
    """Return limits as they are stored."""
    return None if windows is None else [str(rate) for rate in windows]


def pins_of(control: Control | None, now: datetime) -> dict[str, Pin]:
    """Return the pins in force, by endpoint; what has ended by itself is left out."""
    stored = control.pins if control is not None else None
    pins = {
        endpoint: Pin(pin["state"], datetime.fromisoformat(pin["until"]) if pin["until"] else None)
        for endpoint, pin in (stored or {}).items()
    }
    return {e: pin for e, pin in pins.items() if pin.until is None or pin.until > now}


def stored_pins(pins: Mapping[str, Pin]) -> dict[str, dict[str, str | None]]:
    """Return pins as they are stored."""
    return {
        endpoint: {"state": pin.state, "until": pin.until.isoformat() if pin.until else None}
        for endpoint, pin in pins.items()
    }
