"""Versions of the configuration, and changes of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from sisgate.gateway import AppliedConfiguration, ConfigurationPlan, TableChange, VersionInfo
from sisgate.web.schemas.document import Document, Json, Moment, OrderDocument
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


class RollbackOrder(OrderDocument):
    """Why an earlier version is applied again."""

    reason: Reason = None


class SettingChangeDocument(Document):
    """One setting; null is "not set"."""

    name: str
    before: Any
    after: Any


class TableChangeDocument(Document):
    """One table, or a setting without one, and its changed settings."""

    kind: Literal["add", "change", "remove"]
    subject: str
    settings: list[SettingChangeDocument]


def change_of(change: TableChange) -> TableChangeDocument:
    """Return the document of a change."""
    return TableChangeDocument(**asdict(change))


class PlannedDocument(Document):
    """What applying would change, seen from version `base`, and the jobs that it would cancel."""

    base: int
    changes: list[TableChangeDocument]
    cancels: dict[str, int]

    @classmethod
    def of(cls, plan: ConfigurationPlan) -> Self:
        """Return the document of a plan."""
        changes = [change_of(each) for each in plan.changes]
        return cls(base=plan.base, changes=changes, cancels=dict(plan.cancels))


class AppliedDocument(Document):
    """The version in force. Not `is_new`: it was already. See `ChangeDocument` for `holds_now`."""

    version: int
    is_new: bool
    holds_now: bool
    changes: list[TableChangeDocument]
    cancelled: dict[str, int]

    @classmethod
    def of(cls, applied: AppliedConfiguration) -> Self:
        """Return the document of what was applied."""
        changes = [change_of(each) for each in applied.changes]
        return cls(**{**applied.as_dict(), "changes": changes})


class VersionDocument(Document):
    """A version: who applied it, when and why, and the tables that it changed."""

    number: int
    digest: str
    based_on: int
    changes: dict[str, list[str]]
    created_at: Moment
    actor: str
    reason: str | None

    @classmethod
    def of(cls, info: VersionInfo) -> Self:
        """Return the document of a version."""
        return cls(**asdict(info))


class HistoryDocument(Document):
    """Versions, newest first."""

    versions: list[VersionDocument]


class StoredDocument(Document):
    """A version with its document."""

    version: VersionDocument
    document: Json

    @classmethod
    def of(cls, stored: Any) -> Self:
        """Return the document of a stored version."""
        return cls(version=VersionDocument.of(stored.info), document=stored.document)
