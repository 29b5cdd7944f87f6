"""Keys without their secrets."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sisgate.domain.states import KeyState
from sisgate.ledger.schema import Key, KeyUsage


@dataclass(frozen=True)
class KeyInfo:
    """One key without its secret. Times are aware; None means never, or unknown.

    `suspect_at` is when the provider began to refuse it, `reason` its message or why the key
    ended. For a staged key, `canary_failed_at` is when its last canary failed or was inconclusive,
    for `reason`, and `next_probe_at` when the next one runs, None for at once. `destroyed` holds
    the ids of other keys whose secrets this change destroyed.
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
        """Return the fields JSON-ready except for the times; the `id` is called `key`."""
        values = asdict(self)
        return {"key": values.pop("id"), **values, "destroyed": list(self.destroyed)}


@dataclass(frozen=True)
class KeyUse:
    """The use of a key. `refused` counts 401 and 403, `errors` all other errors but 429.

    `remaining` is the time until it expires, None if unknown. Counts lag by a few seconds.
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
        """Return the fields JSON-ready except for the times, with `remaining_seconds`."""
        values = {**self.key.as_dict(), **asdict(self), "key": self.key.id}
        left = values.pop("remaining")
        return {**values, "remaining_seconds": left.total_seconds() if left else None}


def key_info(key: Key, destroyed: Iterable[Key] = ()) -> KeyInfo:
    """Return a key without its secret; `destroyed` are the keys that the change destroyed."""
    columns = {f.name: getattr(key, f.name) for f in fields(KeyInfo) if hasattr(key, f.name)}
    # Only a failed canary gives a staged key a reason.
    has_failed = key.state == KeyState.STAGED.value and key.reason is not None
    return KeyInfo(
        **{**columns, "state": KeyState(key.state), "source": key.source or "hand"},
        canary_failed_at=key.updated_at if has_failed else None,
        destroyed=[other.id for other in destroyed],
    )


def key_use(key: Key, use: KeyUsage | None, now: datetime) -> KeyUse:
    """Return the use of a key; `use` is None if it was never used."""
    columns = {f.name: getattr(use, f.name) for f in fields(KeyUse) if hasattr(use, f.name)}
    never: dict[str, Any] = {
        **dict.fromkeys(("calls", "errors", "throttled", "refused"), 0),
        **dict.fromkeys(("last_used_at", "first_refused_at", "last_refused_at")),
    }
    remaining = key.expires_at - now if key.expires_at else None
    return KeyUse(key=key_info(key), remaining=remaining, **{**never, **columns})
