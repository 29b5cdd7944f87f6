"""`sisgate quarantine`: messages that no worker could handle."""

import json
from datetime import timedelta
from typing import Annotated

import typer

from sisgate.cli.app import Commands
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import Reason
from sisgate.cli.tables import Columns
from sisgate.errors import UsageError

app = Commands("quarantine", "Messages that no worker could handle.", panel="Control")

Message = Annotated[str, typer.Argument(metavar="MESSAGE", help="Id of the message.")]


@app.add("sisgate quarantine list", "sisgate quarantine list --json", name="list")
def list_all(invocation: Invocation) -> None:
    """List the messages, newest first: queue, task and reason, without content."""
    messages = invocation.gateway.quarantine.list()
    now = invocation.clock.now()
    columns: Columns = {
        "message": "id",
        "age": lambda message: max(timedelta(0), now - message.at) if message.at else None,
        "queue": "queue",
        "bytes": "size",
        "task": "task",
        "reason": "reason",
    }
    invocation.output.table(messages, columns, empty="No message is in quarantine.")


@app.add(
    "sisgate quarantine show 3f8a91bc",
    "sisgate quarantine show 3f8a91bc --content --reason 'who sends this?'",
    note="The content may hold secrets and student data.",
)
def show(
    invocation: Invocation,
    message: Message,
    content: Annotated[
        bool, typer.Option("--content", help="Show the stored content. Admins only, and audited.")
    ] = False,
    reason: Reason = None,
) -> None:
    """Show a message: its queue, the reason, and its structure without values."""
    service, output = invocation.gateway.quarantine, invocation.output
    if reason is not None and not content:
        raise UsageError("--reason requires --content.")
    shown = service.show(message)
    if content:
        text = service.content(message, actor=user_name(), reason=reason)
        shown["content"] = text.decode("utf-8", "backslashreplace")
    rows = {**shown, "outline": json.dumps(shown["outline"], indent=2)}
    output.facts(rows.items(), json=shown)


@app.add("sisgate quarantine requeue 3f8a91bc --reason 'workers are upgraded'")
def requeue(invocation: Invocation, message: Message, reason: Reason = None) -> None:
    """Return a message to its queue."""
    service = invocation.gateway.quarantine
    queue = service.requeue(message, actor=user_name(), reason=reason)
    shown = {"id": message, "queue": queue}
    invocation.output.result(shown, f"Message {message} is back in the queue {queue}.")


@app.add("sisgate quarantine drop 3f8a91bc", "sisgate quarantine drop --all")
def drop(
    invocation: Invocation,
    message: Annotated[
        str | None, typer.Argument(metavar="MESSAGE", help="Id of the message.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete all messages.")] = False,
    reason: Reason = None,
) -> None:
    """Delete a message."""
    if (message is None) is not everything:
        raise UsageError("Give a message or --all.")
    service = invocation.gateway.quarantine
    ids = [message] if message is not None else [each.id for each in service.list()]
    for each in ids:
        service.drop(each, actor=user_name(), reason=reason)
    invocation.output.result({"dropped": ids}, f"Dropped: {', '.join(ids) or 'none'}.")
