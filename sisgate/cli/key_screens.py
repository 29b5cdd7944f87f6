"""How keys look in a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from textwrap import shorten

from rich.table import Table
from rich.text import Text

from sisgate.cli.screens import moment, number, table
from sisgate.domain.states import KeyState
from sisgate.gateway.key_info import KeyInfo, KeyUse

COLOURS = {
    KeyState.STAGED: "blue",
    KeyState.CANARY: "cyan",
    KeyState.ACTIVE: "green",
    KeyState.DRAINING: "yellow",
    KeyState.RETIRED: "dim",
    KeyState.REVOKED: "red",
}

REASON_LENGTH = 160
"""Characters of what a provider said that are shown of it."""


def key_table(keys: Iterable[KeyInfo], now: datetime, *, narrow: bool) -> Table:
    """Return the keys, one a line; what a provider has against one stands beside its state."""
    more = () if narrow else ("stored", "life left")
    made = table(("key", "provider", "slot", "state", "client id", *more), folds=("client id",))
    for key in keys:
        state = Text(key.state.value, COLOURS[key.state])
        if key.suspect_at is not None:
            state.append(" suspect", "red")
        if key.canary_failed_at is not None:
            state.append(" canary failed", "red")
        left = key.expires_at - now if key.expires_at else None
        extra: tuple[str | Text, ...] = (moment(key.created_at), life(left)) if more else ()
        made.add_row(key.id[:8], key.provider, key.slot, state, key.client_id, *extra)
    return made


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


def usage_table(uses: Iterable[KeyUse], *, narrow: bool) -> Table:
    """Return how keys were used, one a line."""
    numbers = ("calls", "errors", "429", "refused")
    more = () if narrow else ("last used", "first refused", "last refused", "life left")
    made = table(("key", "slot", "state", *numbers, *more), numbers=numbers)
    for use in uses:
        counts = (use.calls, use.errors, use.throttled, use.refused)
        times = (use.last_used_at, use.first_refused_at, use.last_refused_at)
        extra: tuple[str | Text, ...] = (
            (*(moment(each) for each in times), life(use.remaining)) if more else ()
        )
        state = Text(use.key.state.value, COLOURS[use.key.state])
        made.add_row(
            use.key.id[:8], use.key.slot, state, *(number(count) for count in counts), *extra
        )
    return made


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
