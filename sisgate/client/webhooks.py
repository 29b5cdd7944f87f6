"""Webhooks of apps over HTTP."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sisgate.client.connection import Connection
from sisgate.client.paths import webhook_path
from sisgate.client.reading import reads_answers
from sisgate.client.twins import twin
from sisgate.client.values import value_of
from sisgate.gateway.webhook_info import WebhookDelivery, WebhookEvents, WebhookInfo
from sisgate.gateway.webhooks import Webhooks


@reads_answers
class HttpWebhooks:
    """`gateway.webhooks` over HTTP. The audit log names the owner of the token as the `actor`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @twin(Webhooks.add)
    def add(self, **order: Any) -> WebhookInfo:
        lists = {name: [*order[name]] for name in ("events", "providers")}
        return value_of(WebhookInfo, self._connection.post("/v1/webhooks", {**order, **lists}))

    @twin(Webhooks.list)
    def list(self, *, app: str | None) -> list[WebhookInfo]:
        found = self._connection.get("/v1/webhooks", {"app": app})["webhooks"]
        return value_of(list[WebhookInfo], found)

    @twin(Webhooks.show)
    def show(self, webhook_id: str) -> WebhookInfo:
        return value_of(WebhookInfo, self._connection.get(webhook_path(webhook_id)))

    @twin(Webhooks.edit)
    def edit(self, webhook_id: str, **order: Any) -> WebhookInfo:
        lists = {name: order[name] and [*order[name]] for name in ("events", "providers")}
        path, body = webhook_path(webhook_id), {**order, **lists}
        changed = self._connection.send("PATCH", path, body=body, may_repeat=True)
        return value_of(WebhookInfo, changed.json)

    @twin(Webhooks.remove)
    def remove(self, webhook_id: str, *, reason: str | None) -> None:
        self._connection.send("DELETE", webhook_path(webhook_id), query={"reason": reason})

    @twin(Webhooks.pause)
    def pause(self, webhook_id: str, **order: Any) -> WebhookInfo:
        return value_of(WebhookInfo, self._post(webhook_id, "pause", order))

    @twin(Webhooks.resume)
    def resume(self, webhook_id: str, **order: Any) -> WebhookInfo:
        return value_of(WebhookInfo, self._post(webhook_id, "resume", order))

    @twin(Webhooks.rotate_secret)
    def rotate_secret(self, webhook_id: str, *, overlap: timedelta, **order: Any) -> WebhookInfo:
        body = {**order, "overlap_hours": overlap / timedelta(hours=1)}
        return value_of(WebhookInfo, self._post(webhook_id, "secret", body))

    @twin(Webhooks.test)
    def test(self, webhook_id: str) -> WebhookDelivery:
        return _delivery(self._post(webhook_id, "test"))

    @twin(Webhooks.deliveries)
    def deliveries(self, webhook_id: str, **query: Any) -> Sequence[WebhookDelivery]:
        path = f"{webhook_path(webhook_id)}/deliveries"
        return [_delivery(each) for each in self._connection.get(path, query)["deliveries"]]

    @twin(Webhooks.delivery)
    def delivery(self, webhook_id: str, number: int) -> WebhookDelivery:
        return _delivery(self._connection.get(f"{webhook_path(webhook_id)}/deliveries/{number}"))

    @twin(Webhooks.redeliver)
    def redeliver(self, webhook_id: str, **order: Any) -> int:
        sent: int = self._post(webhook_id, "redeliver", order)["events"]
        return sent

    @twin(Webhooks.events)
    def events(self, webhook_id: str, **query: Any) -> WebhookEvents:
        found = self._connection.get(f"{webhook_path(webhook_id)}/events", query)
        return value_of(WebhookEvents, {**found, "events": list(map(_event, found["events"]))})

    def _post(self, webhook_id: str, act: str, order: Mapping[str, Any] | None = None) -> Any:
        return self._connection.post(f"{webhook_path(webhook_id)}/{act}", order)


def _event(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**document, "at": document["timestamp"]}


def _delivery(document: Mapping[str, Any]) -> WebhookDelivery:
    return value_of(WebhookDelivery, {**document, "event": _event(document)})
