"""Records and changes as apps read them."""

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

    def as_line(self) -> dict[str, Any]:
        """Return it as a line of JSON has it, here and over HTTP."""
        return {
            "sourcedId": self.sourced_id,
            "firstSeen": self.first_seen.isoformat(),
            "lastSeen": self.last_seen.isoformat(),
            "changedAt": self.changed_at.isoformat(),
            "deletedAt": self.deleted_at.isoformat() if self.deleted_at else None,
            "data": self.data,
        }


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

    def as_line(self) -> dict[str, Any]:
        """Return it as a line of JSON has it, here and over HTTP."""
        return {
            "sequence": self.sequence,
            "operation": self.operation,
            "sourcedId": self.sourced_id,
            "changedAt": self.changed_at.isoformat(),
            "data": self.data,
        }
