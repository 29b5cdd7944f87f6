"""What can be told of a key: everything but its secret."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sisgate.domain.states import KeyState
from sisgate.ledger.schema import Key, KeyUsage


@dataclass(frozen=True)
class KeyInfo:
    """One key, without its secret. Times are aware; None means never, or unknown.

    `suspect_at` is since when the provider refuses it, `reason` what it said, or why the key ended.
    Of a staged key `canary_failed_at` is when its last canary failed or told nothing, for `reason`;
    `next_probe_at` is when it is tried again, and None where beat may do so at once. `destroyed`
    are the ids of other keys whose secrets this very change has destroyed.
    """

    id: str
    provider: str
    slot: str
    state: KeyState
    client_id: str
    source: str
    created_at: datetime
    updated_at: datetime
    activated_at: datetime | None
    expires_at: datetime | None
    draining_until: datetime | None
    suspect_at: datetime | None
    checked_at: datetime | None
    reason: str | None
    canary_failed_at: datetime | None
    next_probe_at: datetime | None
    destroyed: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-ready words, but for the times; `destroyed` is told of a change only."""
        words = asdict(self)
        del words["destroyed"]
        return {"key": words.pop("id"), **words, "state": self.state.value}


@dataclass(frozen=True)
class KeyUse:
    """How a key was used. `refused` counts 401 and 403, `errors` all else but 429.

    `remaining` is its life from now on, None where its expiry is unknown. Counts are up to some
    seconds old.
    """

    key: KeyInfo
    calls: int
    errors: int
    throttled: int
    refused: int
    last_used_at: datetime | None
    first_refused_at: datetime | None
    last_refused_at: datetime | None
    remaining: timedelta | None

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-ready words, but for the times; `remaining_seconds` for the life left."""
        words = {**self.key.as_dict(), **asdict(self), "key": self.key.id}
        left = words.pop("remaining")
        return {**words, "remaining_seconds": left.total_seconds() if left else None}


def key_info(key: Key, destroyed: Iterable[Key] = ()) -> KeyInfo:
    """Return what can be told of a key; `destroyed` are those that had to go for it."""
    # Only a canary that did not pass gives a staged key a reason.
    has_failed = key.state == KeyState.STAGED.value and key.reason is not None
    return KeyInfo(
        id=key.id,
        provider=key.provider,
        slot=key.slot,
        state=KeyState(key.state),
        client_id=key.client_id,
        source=key.source or "hand",
        created_at=key.created_at,
        updated_at=key.updated_at,
        activated_at=key.activated_at,
        expires_at=key.expires_at,
        draining_until=key.draining_until,
        suspect_at=key.suspect_at,
        checked_at=key.checked_at,
        reason=key.reason,
        canary_failed_at=key.updated_at if has_failed else None,
        next_probe_at=key.next_probe_at,
        destroyed=[other.id for other in destroyed],
    )


def key_use(key: Key, use: KeyUsage | None, now: datetime) -> KeyUse:
    """Return how a key was used, from its counts or None for none."""
    return KeyUse(
        key=key_info(key),
        calls=use.calls if use else 0,
        errors=use.errors if use else 0,
        throttled=use.throttled if use else 0,
        refused=use.refused if use else 0,
        last_used_at=use.last_used_at if use else None,
        first_refused_at=use.first_refused_at if use else None,
        last_refused_at=use.last_refused_at if use else None,
        remaining=key.expires_at - now if key.expires_at else None,
    )
