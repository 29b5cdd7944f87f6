"""Alerts, silences and channels."""

from typing import Annotated, Literal

from pydantic import Field

from sisgate.gateway import AlertStatus, ChannelStatus, Silence
from sisgate.web.schemas.document import Document, Moment, OrderDocument

StateName = Literal["pending", "firing", "acknowledged", "resolved"]


class AlertsDocument(Document):
    """Alerts, the worst first."""

    alerts: list[AlertStatus]


class SilencesDocument(Document):
    """The silences in force."""

    silences: list[Silence]


class ChannelsDocument(Document):
    """The configured channels."""

    channels: list[ChannelStatus]


class AcknowledgeOrder(OrderDocument):
    """Acknowledges an alert."""

    note: Annotated[str | None, Field(max_length=500)] = None


class SilenceOrder(OrderDocument):
    """Silences a rule, a provider, or both."""

    until: Moment
    rule: Annotated[str | None, Field(max_length=63)] = None
    provider: Annotated[str | None, Field(max_length=63)] = None
    reason: Annotated[str | None, Field(max_length=500, description="For the audit log.")] = None


class SentDocument(Document):
    """Whether a message was sent, and why the last try of its channel failed."""

    is_sent: bool
    error: str | None


class TestedDocument(Document):
    """A test message that a worker will send."""

    message: int
