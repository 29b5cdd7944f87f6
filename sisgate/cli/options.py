"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any, get_args

import typer

from sisgate.cli import completion
from sisgate.domain.priorities import PRIORITIES
from sisgate.domain.validation import chosen
from sisgate.gateway.availability import OnUnavailable as Instead


def choice(what: str, known: Iterable[str]) -> dict[str, Any]:
    """Return the arguments of an option or argument that takes one of some fixed words."""
    words = tuple(str(each) for each in known)
    return {
        "parser": partial(chosen, what, words),
        "metavar": "|".join(words),
        "autocompletion": completion.one_of(*words),
    }


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
OneJob = Annotated[str, typer.Argument(metavar="JOB", help="Id, or its beginning.")]
Priority = Annotated[
    str,
    typer.Option(
        "--priority",
        "-p",
        **choice("--priority", PRIORITIES),
        help="Which work goes first.",
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
        **choice("--on-unavailable", get_args(Instead)),
        help="While the provider takes no calls: wait, fail at once, or give stale data.",
    ),
]


def examples(*commands: str, note: str = "") -> str:
    """Return the end of a command's help: each example on a line, then a note."""
    lines = [f"[bold]{command.replace('[', chr(92) + '[')}[/bold]" for command in commands]
    return "\n\n".join(["Examples:", *lines, *([note] if note else [])])
