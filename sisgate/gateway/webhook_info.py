"""What the gateway tells of webhooks: themselves, their events, and how these were delivered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import SecretStr


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


@dataclass(frozen=True)
class WebhookInfo:
    """A webhook. Times are aware; None means never.

    `state` is `active`, `paused` or `ended`, and `reason` says why it is not active. `providers`
    is None for all. Without `url` the app reads the events itself. `failures` counts those since
    the last delivery. `waiting` and `dead` count events. `former_until` is when the replaced
    secret stops signing. `secret` is set only by the call that creates it.
    """

    id: str
    app: str
    url: str | None
    events: tuple[str, ...]
    providers: tuple[str, ...] | None
    every_app: bool
    ordered: bool
    note: str | None
    state: str
    reason: str | None
    created_at: datetime
    changed_at: datetime
    delivered_at: datetime | None
    failures: int
    failing_since: datetime | None
    last_error: str | None
    former_until: datetime | None
    cursor: int
    waiting: int = 0
    dead: int = 0
    secret: SecretStr | None = None

    @property
    def standing(self) -> str:
        """The state in a word, `failing` for an active one whose last attempt failed."""
        return "failing" if self.state == "active" and self.failures else self.state

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready; the secret only from the call that creates it."""
        values = dict(self.__dict__)
        secret = values.pop("secret")
        shown = {"secret": secret.get_secret_value()} if secret is not None else {}
        plain = {name: _plain(value) for name, value in values.items()}
        return {**plain, "standing": self.standing, **shown}


@dataclass(frozen=True)
class WebhookTry:
    """One attempt to deliver an event. `status` None: there was no response."""

    attempt: int
    at: datetime
    elapsed_ms: int
    status: int | None
    error: str | None
    address: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready."""
        return {name: _plain(value) for name, value in self.__dict__.items()}


@dataclass(frozen=True)
class WebhookEvent:
    """An event as its webhook is told. `number` counts the events of the webhook.

    `id` is the same in all webhooks and at each attempt: a receiver that has seen it does nothing.
    """

    number: int
    id: str
    type: str
    at: datetime
    data: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready, with the names that the body of a delivery has."""
        return {
            "number": self.number, "id": self.id, "type": self.type,
            "timestamp": self.at.isoformat(), "data": self.data,
        }  # fmt: skip


@dataclass(frozen=True)
class WebhookEvents:
    """Events above a cursor, in order. `cursor` is the next one; `more`: there are more now."""

    events: Sequence[WebhookEvent]
    cursor: int
    more: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready."""
        events = [each.as_dict() for each in self.events]
        return {"events": events, "cursor": self.cursor, "more": self.more}


@dataclass(frozen=True)
class WebhookDelivery:
    """What became of one event for one webhook; `tries` only where they were asked for.

    `state` is `waiting`, `sending`, `delivered`, `dead`, `dropped` or, without a URL, `kept`.
    """

    webhook: str
    event: WebhookEvent
    state: str
    attempts: int
    next_attempt_at: datetime | None
    ended_at: datetime | None
    last: WebhookTry | None
    tries: Sequence[WebhookTry] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready."""
        return {
            "webhook": self.webhook,
            **self.event.as_dict(),
            "state": self.state,
            "attempts": self.attempts,
            "next_attempt_at": _plain(self.next_attempt_at),
            "ended_at": _plain(self.ended_at),
            "last": self.last.as_dict() if self.last else None,
            "tries": [each.as_dict() for each in self.tries],
        }
