"""What is shown of a key: everything except its secret."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sisgate.domain.states import KeyState
from sisgate.ledger.schema import Key, KeyUsage


@dataclass(frozen=True)
class KeyInfo:
    """One key without its secret. Times are aware; None means never, or unknown.

    `suspect_at` is since when the provider refuses it, `reason` what it said, or why the key ended.
    Of a staged key, `canary_failed_at` is when its last canary failed or was inconclusive, for
    `reason`; `next_probe_at` is when it is tried again, None where beat may do so at once.
    `destroyed` holds the ids of other keys whose secrets this very change destroyed.
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
        """Return the fields JSON-ready except for the times, `destroyed` left out."""
        values = asdict(self)
        del values["destroyed"]
        return {"key": values.pop("id"), **values, "state": self.state.value}


@dataclass(frozen=True)
class KeyUse:
    """How a key was used. `refused` counts 401 and 403, `errors` everything else but 429.

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
        """Return the fields JSON-ready except for the times; life left as `remaining_seconds`."""
        values = {**self.key.as_dict(), **asdict(self), "key": self.key.id}
        left = values.pop("remaining")
        return {**values, "remaining_seconds": left.total_seconds() if left else None}


def key_info(key: Key, destroyed: Iterable[Key] = ()) -> KeyInfo:
    """Return what is shown of a key; `destroyed` are those that had to go for it."""
    columns = {f.name: getattr(key, f.name) for f in fields(KeyInfo) if hasattr(key, f.name)}
    # Only a canary that did not pass gives a staged key a reason.
    has_failed = key.state == KeyState.STAGED.value and key.reason is not None
    return KeyInfo(
        **{**columns, "state": KeyState(key.state), "source": key.source or "hand"},
        canary_failed_at=key.updated_at if has_failed else None,
        destroyed=[other.id for other in destroyed],
    )


def key_use(key: Key, use: KeyUsage | None, now: datetime) -> KeyUse:
    """Return how a key was used; `use` is None if it never was."""
    columns = {f.name: getattr(use, f.name) for f in fields(KeyUse) if hasattr(use, f.name)}
    never: dict[str, Any] = {
        **dict.fromkeys(("calls", "errors", "throttled", "refused"), 0),
        **dict.fromkeys(("last_used_at", "first_refused_at", "last_refused_at")),
    }
    remaining = key.expires_at - now if key.expires_at else None
    return KeyUse(key=key_info(key), remaining=remaining, **{**never, **columns})
