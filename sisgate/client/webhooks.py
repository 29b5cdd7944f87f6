"""Webhooks of apps over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sisgate.client.connection import Connection
from sisgate.client.paths import webhook_path
from sisgate.client.values import moment, value_of
from sisgate.gateway.webhook_info import (
    WebhookDelivery,
    WebhookEvent,
    WebhookEvents,
    WebhookInfo,
    WebhookTry,
)

OVERLAP = timedelta(days=1)


class HttpWebhooks:
    """`gateway.webhooks` over HTTP. The audit log names the owner of the token as the `actor`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        url: str | None,
        events: Sequence[str],
        *,
        providers: Sequence[str] = (),
        every_app: bool = False,
        ordered: bool = False,
        note: str | None = None,
        app: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> WebhookInfo:
        """Create a webhook and return it with its secret, which is shown only now."""
        body = {
            "url": url, "events": list(events), "providers": list(providers),
            "every_app": every_app, "ordered": ordered, "note": note, "app": app, "reason": reason,
        }  # fmt: skip
        return value_of(WebhookInfo, self._connection.post("/v1/webhooks", body))

    def list(self, *, app: str | None = None) -> list[WebhookInfo]:
        """Return the app's webhooks; for operators those of all apps, or of one."""
        found = self._connection.get("/v1/webhooks", {"app": app})["webhooks"]
        return value_of(list[WebhookInfo], found)

    def show(self, webhook_id: str) -> WebhookInfo:
        """Return a webhook and how it fares; `UnknownWebhook`."""
        return value_of(WebhookInfo, self._connection.get(webhook_path(webhook_id)))

    def edit(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        poll: bool = False,
        events: Sequence[str] | None = None,
        providers: Sequence[str] | None = None,
        every_app: bool | None = None,
        ordered: bool | None = None,
        note: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> WebhookInfo:
        """Change what is given; see `Webhooks.edit`."""
        body = {
            "url": url, "poll": poll, "events": events and list(events),
            "providers": None if providers is None else list(providers),
            "every_app": every_app, "ordered": ordered, "note": note, "reason": reason,
        }  # fmt: skip
        path = webhook_path(webhook_id)
        changed = self._connection.send("PATCH", path, body=body, may_repeat=True).json
        return value_of(WebhookInfo, changed)

    def remove(
        self, webhook_id: str, *, actor: str | None = None, reason: str | None = None
    ) -> None:
        """Delete a webhook with its events and their log."""
        self._connection.send("DELETE", webhook_path(webhook_id), query={"reason": reason})

    def pause(
        self, webhook_id: str, *, actor: str | None = None, reason: str | None = None
    ) -> WebhookInfo:
        """Send nothing until it is resumed; events are kept."""
        return self._changed(webhook_id, "pause", {"reason": reason})

    def resume(
        self, webhook_id: str, *, actor: str | None = None, reason: str | None = None
    ) -> WebhookInfo:
        """Send again, also what was kept meanwhile."""
        return self._changed(webhook_id, "resume", {"reason": reason})

    def rotate_secret(
        self,
        webhook_id: str,
        *,
        overlap: timedelta = OVERLAP,
        actor: str | None = None,
        reason: str | None = None,
    ) -> WebhookInfo:
        """Replace the secret; the new one is shown only now, and both sign during the `overlap`."""
        hours = overlap / timedelta(hours=1)
        return self._changed(webhook_id, "secret", {"overlap_hours": hours, "reason": reason})

    def test(self, webhook_id: str, *, actor: str | None = None) -> WebhookDelivery:
        """Send a test event; its delivery tells what becomes of it."""
        return _delivery(self._connection.post(f"{webhook_path(webhook_id)}/test"))

    def deliveries(
        self,
        webhook_id: str,
        *,
        state: str | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> Sequence[WebhookDelivery]:
        """Return the newest events and what became of them."""
        query = {"state": state, "limit": limit, "before": before}
        path = f"{webhook_path(webhook_id)}/deliveries"
        return [_delivery(each) for each in self._connection.get(path, query)["deliveries"]]

    def delivery(self, webhook_id: str, number: int) -> WebhookDelivery:
        """Return one event with all attempts to deliver it."""
        return _delivery(self._connection.get(f"{webhook_path(webhook_id)}/deliveries/{number}"))

    def redeliver(
        self,
        webhook_id: str,
        number: int | None = None,
        *,
        actor: str | None = None,
        reason: str | None = None,
    ) -> int:
        """Send one event again, or all dead letters; return how many."""
        body = {"number": number, "reason": reason}
        sent: int = self._connection.post(f"{webhook_path(webhook_id)}/redeliver", body)["events"]
        return sent

    def events(self, webhook_id: str, *, after: int = 0, limit: int = 100) -> WebhookEvents:
        """Return the events above a cursor, in order, for apps that nobody can send to."""
        query = {"after": after, "limit": limit}
        found = self._connection.get(f"{webhook_path(webhook_id)}/events", query)
        events = [_event(each) for each in found["events"]]
        return WebhookEvents(events, found["cursor"], found["more"])

    def _changed(self, webhook_id: str, how: str, body: Mapping[str, Any]) -> WebhookInfo:
        return value_of(
            WebhookInfo, self._connection.post(f"{webhook_path(webhook_id)}/{how}", body)
        )


def _event(document: Mapping[str, Any]) -> WebhookEvent:
    at = moment(document["timestamp"])
    assert at is not None
    return WebhookEvent(document["number"], document["id"], document["type"], at, document["data"])


def _delivery(document: Mapping[str, Any]) -> WebhookDelivery:
    last = document["last"]
    return WebhookDelivery(
        document["webhook"], _event(document), document["state"], document["attempts"],
        moment(document["next_attempt_at"]), moment(document["ended_at"]),
        value_of(WebhookTry, last) if last else None,
        value_of(tuple[WebhookTry, ...], document["tries"]),
    )  # fmt: skip
