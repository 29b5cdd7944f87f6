"""Records and changes as apps read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class StoredRecord:
    """A record as apps read it."""

    provider: str
    resource: str
    sourced_id: str
    data: Mapping[str, Any]
    first_seen: datetime
    last_seen: datetime
    changed_at: datetime
    deleted_at: datetime | None
    original: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class StoredChange:
    """A change as apps read it. `data` is the record as it is now, None once it is deleted."""

    provider: str
    resource: str
    sequence: int
    operation: str
    sourced_id: str
    changed_at: datetime
    data: Mapping[str, Any] | None
