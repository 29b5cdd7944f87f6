"""The keys of providers. No document has a secret."""

from typing import Annotated

from pydantic import Field, SecretStr

from sisgate.domain.choices import Slot
from sisgate.gateway.master_keys import MasterKeyUse
from sisgate.web.schemas.document import Document, Moment, OrderDocument
from sisgate.web.schemas.providers import Reason


class KeyDocument(Document):
    """One key without its secret."""

    key: str
    provider: str
    slot: str
    state: str
    client_id: str
    source: str
    created_at: Moment
    updated_at: Moment
    activated_at: Moment | None
    expires_at: Moment | None
    draining_until: Moment | None
    suspect_at: Moment | None
    checked_at: Moment | None
    reason: str | None
    canary_failed_at: Moment | None
    next_probe_at: Moment | None
    destroyed: Annotated[list[str], Field(description="Keys whose secrets this change destroyed.")]


class MasterKeysDocument(Document):
    """The master keys, newest first, then those that are missing."""

    keys: list[MasterKeyUse]


class KeysDocument(Document):
    """Keys, the newest first."""

    keys: list[KeyDocument]


class KeyUseDocument(KeyDocument):
    """A key and how it was used."""

    calls: int
    errors: int
    throttled: int
    refused: int
    last_used_at: Moment | None
    first_refused_at: Moment | None
    last_refused_at: Moment | None
    remaining_seconds: float | None


class KeyUses(Document):
    """Keys and how they were used, also of those that have ended."""

    keys: list[KeyUseDocument]


class KeyOrder(OrderDocument):
    """A new key. `stage`: kept for the next rotation instead of used at once."""

    client_id: Annotated[str, Field(min_length=1, max_length=255)]
    secret: Annotated[SecretStr, Field(min_length=1, max_length=10_000)]
    slot: Slot = "primary"
    stage: bool = False
    expires_at: Moment | None = None
    reason: Reason = None


class SlotOrder(OrderDocument):
    """A change of one slot."""

    slot: Slot = "primary"
    reason: Reason = None
