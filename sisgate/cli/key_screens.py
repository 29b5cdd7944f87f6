"""How keys look in a terminal."""

from __future__ import annotations

from datetime import datetime, timedelta
from textwrap import shorten

from rich.text import Text

from sisgate.cli.screens import moment, state
from sisgate.cli.tables import Columns
from sisgate.gateway.key_info import KeyInfo

REASON_LENGTH = 160
"""Characters of what a provider said that are shown of it."""


def key_columns(now: datetime) -> Columns:
    """Return the columns of keys; what a provider has against one stands beside its state."""
    return {
        "key": "id", "provider": "provider", "slot": "slot", "state": _state_words,
        "client id": "client_id", "stored": "created_at",
        "life left": lambda key: life(key.expires_at - now if key.expires_at else None),
    }  # fmt: skip


def _state_words(key: KeyInfo) -> Text:
    words = state(key.state.value)
    if key.suspect_at is not None:
        words.append(" suspect", "red")
    if key.canary_failed_at is not None:
        words.append(" canary failed", "red")
    return words


def canary_words(key: KeyInfo) -> str | None:
    """Return when and why the canary of a staged key failed, and when it is tried again."""
    if key.canary_failed_at is None:
        return None
    why = shorten(key.reason or "", REASON_LENGTH, placeholder="…")
    again = f"at {moment(key.next_probe_at)}" if key.next_probe_at else "as soon as beat finds it"
    return (
        f"Key {key.id[:8]}: its canary failed at {moment(key.canary_failed_at)}: "
        f"{why.rstrip('.')}. It is tried again {again}."
    )


USAGE: Columns = {
    "key": lambda use: use.key.id, "slot": lambda use: use.key.slot,
    "state": lambda use: use.key.state,
    "calls": "calls", "errors": "errors", "429": "throttled", "refused": "refused",
    "last used": "last_used_at", "first refused": "first_refused_at",
    "last refused": "last_refused_at", "life left": lambda use: life(use.remaining),
}  # fmt: skip
"""Columns of how keys were used."""


def life(left: timedelta | None) -> Text:
    """Return the life that a key has left.

    >>> str(life(timedelta(days=3, hours=5))), str(life(timedelta(hours=5))), str(life(None))
    ('3 d', '5 h', 'not known')
    """
    if left is None:
        return Text("not known", "dim")
    if left <= timedelta(0):
        return Text("expired", "red")
    days, seconds = left.days, left.seconds
    words = f"{days} d" if days else f"{seconds // 3600} h" if seconds >= 3600 else "under 1 h"
    return Text(words, "" if days >= 14 else "yellow")
