"""Versions of the configuration, and changes of it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from sisgate.gateway import TableChange, VersionInfo
from sisgate.web.schemas.document import Document, Json, OrderDocument
from sisgate.web.schemas.providers import Reason


class ConfigurationOrder(OrderDocument):
    """A whole configuration, as sisgate.toml would have it."""

    document: Annotated[
        Json,
        Field(
            examples=[
                {
                    "providers": {
                        "lincoln": {
                            "kind": "oneroster",
                            "token_url": "https://sis.test/token",
                            "endpoints": [{"url": "https://sis.test"}],
                        }
                    }
                }
            ]
        ),
    ]
    based_on: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = None
    reason: Reason = None


class AddProvider(OrderDocument):
    """A new provider with its settings, as in sisgate.toml; names may be dotted."""

    change: Literal["add"]
    provider: str
    settings: Json


class EditProvider(OrderDocument):
    """Other settings of a provider; `unset` ones return to their defaults."""

    change: Literal["edit"]
    provider: str
    settings: Json = Field(default_factory=dict)
    unset: list[str] = Field(default_factory=list)


class RemoveProviders(OrderDocument):
    """Providers to remove, with their schedules."""

    change: Literal["remove"]
    providers: Annotated[list[str], Field(min_length=1)]


class RenameEndpoint(OrderDocument):
    """Another URL for an endpoint. Its breaker and health start anew."""

    change: Literal["rename_endpoint"]
    provider: str
    old: str
    new: str


class EditOrder(OrderDocument):
    """One change of providers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"edit": {"change": "edit", "provider": "lincoln", "settings": {"limit": "500/h"}}}
            ]
        }
    )

    edit: Annotated[
        AddProvider | EditProvider | RemoveProviders | RenameEndpoint, Field(discriminator="change")
    ]
    reason: Reason = None


class PurgeOrder(OrderDocument):
    """A removed provider whose data is deleted. `dry_run` only counts."""

    provider: str
    dry_run: bool = False
    reason: Reason = None


class PurgedDocument(Document):
    """The rows that were deleted, or would be, by table."""

    rows: dict[str, int]
    dry_run: bool


class PlannedDocument(Document):
    """What applying would change, seen from version `base`.

    `cancels` are jobs that it would cancel, `drops` alerts that channels would never be told.
    """

    base: int
    changes: list[TableChange]
    cancels: dict[str, int]
    drops: dict[str, int]


class PlannedEditDocument(PlannedDocument):
    """The same of a change, with the configuration as it would be stored."""

    document: Json


class DifferencesDocument(Document):
    """How two versions differ."""

    changes: list[TableChange]


class AppliedDocument(Document):
    """The version in force. Not `is_new`: it was already. See `ChangeDocument` for `holds_now`."""

    version: int
    is_new: bool
    holds_now: bool
    changes: list[TableChange]
    cancelled: dict[str, int]


class HistoryDocument(Document):
    """Versions, newest first."""

    versions: list[VersionInfo]


class StoredDocument(Document):
    """A version with its document."""

    version: Annotated[VersionInfo, Field(validation_alias="info")]
    document: Json
