"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from sisgate.cli import completion

Json = Annotated[
    bool, typer.Option("--json", help="Write JSON to stdout, for programs. Words go to stderr.")
]
Provider = Annotated[
    str,
    typer.Argument(
        help="Name of a provider in sisgate.toml.",
        autocompletion=completion.providers,
        show_default=False,
    ),
]
Resource = Annotated[
    str,
    typer.Argument(
        help="Such as students, classes or enrollments.",
        autocompletion=completion.resources,
        show_default=False,
    ),
]
Priority = Annotated[
    str,
    typer.Option(
        "--priority",
        "-p",
        help="urgent, high, normal or low.",
        autocompletion=completion.priorities,
    ),
]
App = Annotated[
    str | None,
    typer.Option("--app", help="Name of the calling app in the ledger.", show_default=False),
]
IdempotencyKey = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        help="The same key returns the first job again.",
        show_default=False,
    ),
]
Reason = Annotated[
    str | None,
    typer.Option("--reason", help="Why, for the audit log.", show_default=False),
]
Purpose = Annotated[
    str | None,
    typer.Option(help="What they are for; the audit log keeps it.", show_default=False),
]
OnUnavailable = Annotated[
    str,
    typer.Option(
        "--on-unavailable",
        help="While the provider takes no calls: wait, fail at once, or give stale data.",
        autocompletion=completion.one_of("wait", "fail", "stale"),
    ),
]


def examples(*commands: str, note: str = "") -> str:
    """Return the end of a command's help: each example on a line, then a note."""
    lines = [f"[bold]{command.replace('[', chr(92) + '[')}[/bold]" for command in commands]
    return "\n\n".join(["Examples:", *lines, *([note] if note else [])])
