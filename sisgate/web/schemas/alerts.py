"""Alerts, silences and channels."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from sisgate.gateway import AlertStatus
from sisgate.web.schemas.document import Document, Json, Moment, OrderDocument

SeverityName = Literal["info", "warning", "critical"]
StateName = Literal["pending", "firing", "acknowledged", "resolved"]


class AlertDocument(Document):
    """One alert: of one rule and one subject."""

    id: str
    rule: str
    subject: str
    provider: str | None
    state: StateName
    severity: SeverityName
    cause: str
    culprit: str
    message: str
    remedy: str
    evidence: Annotated[Json, Field(description="Numbers, times and ids, by name.")]
    since: Moment
    fired_at: Moment | None
    acknowledged_at: Moment | None
    acknowledged_by: str | None
    note: str | None
    resolved_at: Moment | None
    seen_at: Moment
    changed_at: Moment
    times: int
    flaps: int
    told: Literal["firing", "resolved"] | None
    told_at: Moment | None
    channels: Annotated[list[str], Field(description="Told that it fires, and not yet of its end.")]
    held_until: Annotated[
        Moment | None, Field(description="Nothing is told of it until then, because it flaps.")
    ]
    undelivered: Annotated[
        list[str], Field(description="Channels whose messages about it have not arrived yet.")
    ]

    @classmethod
    def of(cls, alert: AlertStatus) -> Self:
        """Return the document of an alert."""
        return cls.model_validate(alert.as_dict())


class AlertsDocument(Document):
    """Alerts, the worst first."""

    alerts: list[AlertDocument]


class SilenceDocument(Document):
    """No messages of a rule, of a provider, or of both, until a time."""

    id: str
    rule: str | None
    provider: str | None
    until: Moment
    set_by: str
    reason: str | None


class SilencesDocument(Document):
    """The silences in force."""

    silences: list[SilenceDocument]


class ChannelDocument(Document):
    """A channel, without its URL. `is_here`: this process has that."""

    name: str
    place: str
    is_here: bool
    least: SeverityName
    waiting: int
    last_error: str | None


class ChannelsDocument(Document):
    """The configured channels."""

    channels: list[ChannelDocument]


class AcknowledgeOrder(OrderDocument):
    """Acknowledges an alert."""

    note: Annotated[str | None, Field(max_length=500)] = None


class SilenceOrder(OrderDocument):
    """Silences a rule, a provider, or both."""

    until: Moment
    rule: Annotated[str | None, Field(max_length=63)] = None
    provider: Annotated[str | None, Field(max_length=63)] = None
    reason: Annotated[str | None, Field(max_length=500, description="For the audit log.")] = None


class TestedDocument(Document):
    """A test message that a worker will send."""

    message: int
