"""`sisgate quarantine`: messages that no worker could take."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated

import typer

from sisgate.cli.invocation import invocation_of, user_name
from sisgate.cli.options import Json, Reason, examples
from sisgate.cli.output import Output
from sisgate.cli.tables import Columns
from sisgate.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Messages that no worker could take.")

Message = Annotated[
    str, typer.Argument(metavar="MESSAGE", help="Its id in the list.", show_default=False)
]


@app.command("list", epilog=examples("sisgate quarantine list", "sisgate quarantine list --json"))
def list_all(context: typer.Context, as_json: Json = False) -> None:
    """Show the messages, the newest first: queue, task and reason, and nothing of their content."""
    invocation, output = invocation_of(context), Output(as_json)
    found = invocation.gateway.quarantine.list()
    now = invocation.clock.now()
    columns: Columns = {
        "message": "id",
        "age": lambda message: max(timedelta(0), now - message.at) if message.at else None,
        "queue": "queue",
        "bytes": "size",
        "task": "task",
        "reason": "reason",
    }
    output.table(found, columns, empty="No message is in quarantine.")


@app.command(
    epilog=examples(
        "sisgate quarantine show 3f8a91bc",
        "sisgate quarantine show 3f8a91bc --content --reason 'who sends this?'",
        note="The content may hold anything, also secrets and student data.",
    )
)
def show(
    context: typer.Context,
    message: Message,
    content: Annotated[
        bool,
        typer.Option("--content", help="Show the kept beginning itself; for admins, and audited."),
    ] = False,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Show one message: where it was, why it is here, and its outline without values."""
    desk, output = invocation_of(context).gateway.quarantine, Output(as_json)
    if reason is not None and not content:
        raise UsageError("--reason goes with --content.")
    told = desk.show(message)
    if content:
        text = desk.content(message, actor=user_name(), reason=reason)
        told["content"] = text.decode("utf-8", "backslashreplace")
    rows = {**told, "outline": json.dumps(told["outline"], indent=2)}
    output.facts(rows.items(), json=told)


@app.command(epilog=examples("sisgate quarantine requeue 3f8a91bc --reason 'workers are upgraded'"))
def requeue(
    context: typer.Context, message: Message, reason: Reason = None, as_json: Json = False
) -> None:
    """Put a message back into its queue; a worker that cannot take it brings it here again."""
    output = Output(as_json)
    desk = invocation_of(context).gateway.quarantine
    queue = desk.requeue(message, actor=user_name(), reason=reason)
    told = {"id": message, "queue": queue}
    output.result(told, f"Message {message} waits in the queue {queue} again.")


@app.command(epilog=examples("sisgate quarantine drop 3f8a91bc", "sisgate quarantine drop --all"))
def drop(
    context: typer.Context,
    message: Annotated[
        str | None, typer.Argument(metavar="MESSAGE", help="Its id.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Forget a message."""
    if (message is None) is not everything:
        raise UsageError("Name a message, or give --all.")
    output = Output(as_json)
    desk = invocation_of(context).gateway.quarantine
    ids = [message] if message is not None else [each.id for each in desk.list()]
    for each in ids:
        desk.drop(each, actor=user_name(), reason=reason)
    output.result({"dropped": ids}, f"Dropped: {', '.join(ids) or 'none'}.")
