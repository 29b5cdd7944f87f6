"""`sisgate webhooks`: tell apps what has happened. A secret is shown only when created."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from sisgate.cli.app import Commands
from sisgate.cli.following import going_on
from sisgate.cli.formats import moment, state
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import Overlap, Reason
from sisgate.cli.presenter import Presenter, to_json, write_line
from sisgate.cli.tables import Columns
from sisgate.clock import poll_until
from sisgate.domain.webhook_events import EventType, MessageState
from sisgate.errors import UsageError

if TYPE_CHECKING:
    from sisgate.gateway import WebhookDelivery, WebhookInfo

app = Commands("webhooks", "Tell apps what has happened.", panel="Work")

WebhookId = Annotated[
    str, typer.Argument(metavar="WEBHOOK", help="As `sisgate webhooks list` shows it.")
]
Events = Annotated[
    list[EventType] | None,
    typer.Option("--event", "-e", help="What it is told of. May be repeated."),
]
ProviderNames = Annotated[
    list[str] | None,
    typer.Option(
        "--provider", "-p", metavar="PROVIDER", help="Only of this one. May be repeated.",
        show_default="all that the app may see",
    ),
]  # fmt: skip
Note = Annotated[str | None, typer.Option("--note", help="A text for people.")]
TEST_SECONDS = 20.0


@app.add(
    "sisgate webhooks add https://app.example/sis --event job.ended",
    "sisgate webhooks add https://app.example/sis -e dataset.changed -p powerschool --ordered",
    "sisgate webhooks add --poll --event job.ended --app gradebook",
    note="Into a file: sisgate webhooks add URL --event job.ended > secret",
)
def add(
    invocation: Invocation,
    url: Annotated[str | None, typer.Argument(help="Where events are posted.")] = None,
    events: Events = None,
    providers: ProviderNames = None,
    poll: Annotated[
        bool, typer.Option("--poll", help="Without a URL: the app reads the events itself.")
    ] = False,
    ordered: Annotated[
        bool, typer.Option("--ordered", help="Send events of a dataset one after the other.")
    ] = False,
    every_app: Annotated[
        bool, typer.Option("--every-app", help="Include jobs of other apps. Operators only.")
    ] = False,
    owner: Annotated[
        str | None, typer.Option("--app", help="Whose webhook it is.", show_default="this app's")
    ] = None,
    note: Note = None,
    reason: Reason = None,
) -> None:  # fmt: skip
    """Create a webhook, and show its secret this once on stdout."""
    if (url is None) is not poll:
        raise UsageError("Give a URL, or --poll for an app that reads the events itself.")
    hook = invocation.gateway.webhooks.add(
        url, events or [], providers=providers or (), every_app=every_app, ordered=ordered,
        note=note, app=owner, actor=user_name(), reason=reason,
    )  # fmt: skip
    _show_once(invocation.output, hook)


@app.add("sisgate webhooks list", "sisgate webhooks list --app gradebook", name="list")
def list_webhooks(
    invocation: Invocation,
    owner: Annotated[str | None, typer.Option("--app", help="Only of this app.")] = None,
) -> None:
    """List webhooks: what they tell, where, and how that goes."""
    hooks = invocation.gateway.webhooks.list(app=owner)
    columns: Columns = {
        "webhook": "id",
        "app": "app",
        "state": lambda hook: state(hook.standing),
        "waiting": "waiting",
        "dead": "dead",
        "delivered": "delivered_at",
        "events": "events",
        "to": lambda hook: hook.url or "nowhere: the app reads them",
    }
    empty = "No webhooks. Create one with `sisgate webhooks add URL --event job.ended`."
    invocation.output.table(hooks, columns, empty=empty)
    for hook in hooks:
        if hook.standing != "active":
            invocation.output.warn(_why(hook))


@app.add("sisgate webhooks show wh_3f8a91bc02de")
def show(invocation: Invocation, webhook: WebhookId) -> None:
    """Show a webhook."""
    hook = invocation.gateway.webhooks.show(webhook)
    facts = {**vars(hook), "state": state(hook.standing)}
    invocation.output.facts(facts.items(), json=hook)
    if hook.standing != "active":
        invocation.output.warn(_why(hook))


@app.add(
    "sisgate webhooks edit wh_3f8a91bc02de --url https://app.example/new",
    "sisgate webhooks edit wh_3f8a91bc02de -e job.ended -e sync.held",
)
def edit(
    invocation: Invocation,
    webhook: WebhookId,
    url: Annotated[str | None, typer.Option("--url", help="Where events are posted.")] = None,
    events: Events = None,
    providers: ProviderNames = None,
    poll: Annotated[bool, typer.Option("--poll", help="Remove the URL.")] = False,
    all_providers: Annotated[
        bool, typer.Option("--all-providers", help="Of all that the app may see.")
    ] = False,
    ordered: Annotated[
        bool | None, typer.Option("--ordered/--unordered", help="Send in order, or not.")
    ] = None,
    every_app: Annotated[
        bool | None, typer.Option("--every-app/--own-app", help="Jobs of all apps, or its own.")
    ] = None,
    note: Note = None,
    reason: Reason = None,
) -> None:
    """Change a webhook. What is not given stays as it is."""
    if all_providers and providers:
        raise UsageError("Give either --provider or --all-providers.")
    hook = invocation.gateway.webhooks.edit(
        webhook, url=url, poll=poll, events=events or None,
        providers=[] if all_providers else providers or None,
        ordered=ordered, every_app=every_app, note=note, actor=user_name(), reason=reason,
    )  # fmt: skip
    invocation.output.result(hook, f"Webhook {hook.id} is changed.")


@app.add("sisgate webhooks remove wh_3f8a91bc02de")
def remove(invocation: Invocation, webhook: WebhookId, reason: Reason = None) -> None:
    """Delete a webhook with its events and their log."""
    invocation.gateway.webhooks.remove(webhook, actor=user_name(), reason=reason)
    invocation.output.result({"removed": webhook}, f"Webhook {webhook} is removed.")


@app.add("sisgate webhooks pause wh_3f8a91bc02de --reason 'the app moves'")
def pause(invocation: Invocation, webhook: WebhookId, reason: Reason = None) -> None:
    """Send nothing until it is resumed; events are kept."""
    hook = invocation.gateway.webhooks.pause(webhook, actor=user_name(), reason=reason)
    invocation.output.result(hook, f"Webhook {hook.id} is paused; its events are kept.")


@app.add("sisgate webhooks resume wh_3f8a91bc02de")
def resume(invocation: Invocation, webhook: WebhookId, reason: Reason = None) -> None:
    """Send again, also what was kept meanwhile."""
    hook = invocation.gateway.webhooks.resume(webhook, actor=user_name(), reason=reason)
    invocation.output.result(hook, f"Webhook {hook.id} is active. Events due: {hook.waiting}.")


@app.add("sisgate webhooks rotate-secret wh_3f8a91bc02de --overlap 2h")
def rotate_secret(
    invocation: Invocation,
    webhook: WebhookId,
    overlap: Overlap = timedelta(days=1),
    reason: Reason = None,
) -> None:
    """Replace the secret, and show the new one this once on stdout."""
    hook = invocation.gateway.webhooks.rotate_secret(
        webhook, overlap=overlap, actor=user_name(), reason=reason
    )
    _show_once(invocation.output, hook)


@app.add("sisgate webhooks test wh_3f8a91bc02de")
def test(invocation: Invocation, webhook: WebhookId) -> None:
    """Send a test event, and wait for what becomes of it."""
    service = invocation.gateway.webhooks
    number = service.test(webhook, actor=user_name()).event.number

    def has_been_tried() -> bool:
        return service.delivery(webhook, number).last is not None

    with going_on(f"The event goes on: `sisgate webhooks deliveries {webhook} {number}` shows it."):
        poll_until(has_been_tried, clock=invocation.clock, timeout_seconds=TEST_SECONDS)
        sent = service.delivery(webhook, number)
    invocation.output.result(sent, _of_test(sent))


@app.add(
    "sisgate webhooks deliveries wh_3f8a91bc02de",
    "sisgate webhooks deliveries wh_3f8a91bc02de --state dead",
    "sisgate webhooks deliveries wh_3f8a91bc02de 17",
)
def deliveries(
    invocation: Invocation,
    webhook: WebhookId,
    number: Annotated[
        int | None, typer.Argument(metavar="EVENT", help="Number of one event: its attempts.")
    ] = None,
    wanted: Annotated[
        MessageState | None, typer.Option("--state", help="Only events in this state.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="At most so many.")] = 50,
    before: Annotated[
        int | None, typer.Option("--before", metavar="EVENT", help="Only below this number.")
    ] = None,
) -> None:
    """List the newest events and what became of them."""
    service, output = invocation.gateway.webhooks, invocation.output
    if number is not None:
        delivery = service.delivery(webhook, number)
        columns: Columns = {
            "attempt": "attempt", "at": "at", "ms": "elapsed_ms", "status": "status",
            "address": "address", "error": "error",
        }  # fmt: skip
        empty = f"No attempt yet: the event is {delivery.state}."
        output.table(delivery.tries, columns, json=delivery, empty=empty)
        return
    rows = service.deliveries(webhook, state=wanted, limit=limit, before=before)
    columns = {
        "event": lambda row: row.event.number,
        "at": lambda row: row.event.at,
        "type": lambda row: row.event.type,
        "state": lambda row: state(row.state),
        "tries": "attempts",
        "next": "next_attempt_at",
        "last error": lambda row: row.last.error if row.last else None,
    }
    output.table(rows, columns, empty="No events yet.")


@app.add(
    "sisgate webhooks redeliver wh_3f8a91bc02de 17",
    "sisgate webhooks redeliver wh_3f8a91bc02de --dead",
)
def redeliver(
    invocation: Invocation,
    webhook: WebhookId,
    number: Annotated[int | None, typer.Argument(metavar="EVENT", help="Its number.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All dead letters.")] = False,
    reason: Reason = None,
) -> None:
    """Send an event again, or all dead letters."""
    if (number is None) is not dead:
        raise UsageError("Give the number of an event, or --dead.")
    service = invocation.gateway.webhooks
    count = service.redeliver(webhook, number, actor=user_name(), reason=reason)
    shown = {"webhook": webhook, "events": count}
    invocation.output.result(shown, f"Events of webhook {webhook} that are sent again: {count}.")


@app.add(
    "sisgate webhooks events wh_3f8a91bc02de --after 17",
    note="The number of the last event is the next cursor.",
)
def events(
    invocation: Invocation,
    webhook: WebhookId,
    after: Annotated[
        int, typer.Option("--after", metavar="EVENT", help="The cursor: only above this number.")
    ] = 0,
    limit: Annotated[int, typer.Option("--limit", "-n", help="At most so many.")] = 100,
) -> None:
    """Show the events above a cursor, in order, one JSON object a line."""
    found = invocation.gateway.webhooks.events(webhook, after=after, limit=limit)
    if invocation.output.as_json:
        invocation.output.json(found)
        return
    for event in found.events:
        write_line(to_json(event))
    left = "there are more" if found.more else "these are all"
    invocation.output.note(f"The next cursor is {found.cursor}; {left}.")


def _show_once(output: Presenter, hook: WebhookInfo) -> None:
    output.json(hook)
    if output.as_json or hook.secret is None:
        return
    write_line(hook.secret.get_secret_value())
    former = f" The old one signs until {moment(hook.former_until)}." if hook.former_until else ""
    output.note(
        f"The secret of webhook {hook.id} of {hook.app}.{former} It is not shown again: store it "
        "where the receiver verifies signatures."
    )


def _why(hook: WebhookInfo) -> str:
    if hook.state != "active":
        cure = f"`sisgate webhooks resume {hook.id}` makes it active."
        return f"Webhook {hook.id} is {hook.state}. {hook.reason or ''} {cure}"
    begin = f"has failed since {moment(hook.failing_since)}" if hook.failing_since else "fails"
    return f"Webhook {hook.id} {begin}: {hook.last_error or 'no response'}"


def _of_test(sent: WebhookDelivery) -> str:
    number, last = sent.event.number, sent.last
    if sent.state == "kept":
        return f"Event {number} is kept for the app to read."
    if last is None:
        return f"Event {number} is not sent yet: is a worker running? `sisgate doctor` tells."
    if sent.state == "delivered":
        return f"Event {number} is delivered: {last.status} after {last.elapsed_ms} ms."
    return f"Event {number} failed: {last.error} It is tried again."
