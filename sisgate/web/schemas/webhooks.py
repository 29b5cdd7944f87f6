"""Webhooks, their events and deliveries. A secret is only in the answer that creates it."""

from typing import Annotated

from pydantic import Field

from sisgate.domain.webhook_events import EventType
from sisgate.gateway.webhook_info import WebhookTry
from sisgate.web.schemas.document import Document, Json, Moment, OrderDocument
from sisgate.web.schemas.providers import Reason

Url = Annotated[str | None, Field(max_length=2000, examples=["https://app.example/sis"])]
Note = Annotated[str | None, Field(max_length=200)]
Names = Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=1000)]


class WebhookOrder(OrderDocument):
    """A new webhook. Without `url` the app reads the events; `app` is for operators."""

    url: Url = None
    events: Annotated[list[EventType], Field(min_length=1)]
    providers: Names = Field(default_factory=list)
    every_app: bool = False
    ordered: bool = False
    note: Note = None
    app: Annotated[str | None, Field(max_length=100)] = None
    reason: Reason = None


class WebhookChange(OrderDocument):
    """A change of a webhook; what is left out or null stays. `poll` removes the URL."""

    url: Url = None
    poll: bool = False
    events: Annotated[list[EventType] | None, Field(min_length=1)] = None
    providers: Names | None = None
    every_app: bool | None = None
    ordered: bool | None = None
    note: Note = None
    reason: Reason = None


class SecretOrder(OrderDocument):
    """A new secret; the old one signs as well during the overlap."""

    overlap_hours: Annotated[float, Field(ge=0, le=24 * 30)] = 24
    reason: Reason = None


class RedeliveryOrder(OrderDocument):
    """What to send again: one event, or without its number all dead letters."""

    number: Annotated[int | None, Field(ge=1, le=2**53)] = None
    reason: Reason = None


class WebhookDocument(Document):
    """A webhook. `secret` is only in the answer that creates one."""

    id: str
    app: str
    url: str | None
    events: list[str]
    providers: list[str] | None
    every_app: bool
    ordered: bool
    note: str | None
    state: str
    standing: str
    reason: str | None
    created_at: Moment
    changed_at: Moment
    delivered_at: Moment | None
    failures: int
    failing_since: Moment | None
    last_error: str | None
    former_until: Moment | None
    cursor: int
    waiting: int
    dead: int
    secret: str | None = None


class WebhooksDocument(Document):
    """Webhooks, in order of their creation."""

    webhooks: list[WebhookDocument]


class WebhookEventDocument(Document):
    """An event, as the body of a delivery has it, with its number and id."""

    number: int
    id: str
    type: str
    timestamp: Moment
    data: Json


class DeliveryDocument(WebhookEventDocument):
    """What became of an event; `tries` only when one event is asked for."""

    webhook: str
    state: str
    attempts: int
    next_attempt_at: Moment | None
    ended_at: Moment | None
    last: WebhookTry | None
    tries: list[WebhookTry]


class DeliveriesDocument(Document):
    """Deliveries, the newest event first."""

    deliveries: list[DeliveryDocument]


class WebhookEventsDocument(Document):
    """Events above a cursor, in order. `cursor` is the next one; `more`: there are more now."""

    events: list[WebhookEventDocument]
    cursor: int
    more: bool


class RedeliveredDocument(Document):
    """How many events are sent again."""

    webhook: str
    events: int
