"""Records: one entity of a school's roster in canonical OneRoster 1.2 shape."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

# Made once: `json.dumps` with options makes an encoder for each row. What came from JSON is a tree.
_plain = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
_canonical = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":"), sort_keys=True
).encode


@dataclass(frozen=True)
class Row:
    """One record as a provider gave it.

    `data` is canonical OneRoster 1.2, JSON-ready; `original` is what the provider sent. A row
    whose `data["status"]` is `tobedeleted` is the provider's own word that the record is gone.
    `untold` are fields that this way of reading never tells: where they are stored, they stay.
    """

    sourced_id: str
    data: Mapping[str, Any]
    original: Mapping[str, Any]
    untold: tuple[str, ...] = ()

    def completed(self, stored: Mapping[str, Any]) -> Row:
        """Return the row with what is stored of the fields that it cannot tell."""
        kept = {name: stored[name] for name in self.untold if name in stored}
        return Row(self.sourced_id, {**self.data, **kept}, self.original) if kept else self

    @cached_property
    def data_json(self) -> str:
        """The canonical data as JSON text with sorted keys, so that equal data is equal text."""
        return _canonical(self.data)

    @cached_property
    def original_json(self) -> str:
        """What the provider sent as JSON text; the order of its names has no meaning."""
        if self.original is self.data:
            return self.data_json
        return _plain(self.original)

    @cached_property
    def content_hash(self) -> bytes:
        """SHA-256 of the canonical data: two rows with equal hashes say the same."""
        return hashlib.sha256(self.data_json.encode()).digest()

    @property
    def is_deleted(self) -> bool:
        """Whether the provider itself marks the record as deleted."""
        return self.data.get("status") == "tobedeleted"

    @property
    def last_modified(self) -> datetime | None:
        """The provider's own time of the last change, aware, or None where it gives none."""
        text = self.data.get("dateLastModified")
        if not isinstance(text, str):
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        return moment if moment.tzinfo else None
