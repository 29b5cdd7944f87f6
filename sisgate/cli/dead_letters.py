"""Dead letters on the command line: which are meant, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from sisgate.cli import completion
from sisgate.cli.invocation import Invocation
from sisgate.cli.output import Output
from sisgate.cli.times import AGO, TIME, past
from sisgate.gateway import DeadLetter

OfProvider = Annotated[
    str | None,
    typer.Option(
        "--provider",
        help="Only of this provider.",
        autocompletion=completion.providers,
        show_default=False,
    ),
]
OfApp = Annotated[
    str | None, typer.Option("--app", help="Dead letters of this app.", show_default=False)
]
OfError = Annotated[
    str | None,
    typer.Option(
        "--error",
        metavar="CODE",
        help="Dead letters with this error, such as provider_unavailable.",
        show_default=False,
    ),
]
Since = Annotated[
    datetime | None,
    typer.Option("--since", parser=past, metavar=TIME, help=f"Dead letters from then on: {AGO}"),
]


@dataclass(frozen=True)
class DeadLetterFilter:
    """Which dead letters are meant."""

    provider: str | None = None
    app: str | None = None
    error: str | None = None
    since: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether all of them are."""
        return self == DeadLetterFilter()

    def find(self, invocation: Invocation, limit: int | None = None) -> Sequence[DeadLetter]:
        """Return those that fit; `UnknownProvider` and `UsageError` where one cannot be meant."""
        if self.provider is not None:
            invocation.gateway.providers.get(self.provider)
        return invocation.gateway.jobs.dead(
            provider=self.provider, app=self.app, error=self.error, since=self.since, limit=limit
        )


def show_dead(invocation: Invocation, output: Output, letters: Sequence[DeadLetter]) -> None:
    """Show dead letters, with what each died of."""
    now = invocation.clock.now()
    output.table(
        letters,
        {
            "job": "id",
            "age": lambda letter: letter.job.ended_at and now - letter.job.ended_at,
            "app": lambda letter: letter.job.app,
            "provider": lambda letter: letter.job.provider,
            "what": lambda letter: letter.job.resource or letter.job.kind,
            "tries": "tries",
            "lost": "lost_workers",
            "last error": _error_words,
        },
        empty="No dead letter fits.",
    )


def _error_words(letter: DeadLetter) -> str:
    error = letter.job.error or {}
    return f"{error.get('code', '')}: {error.get('message', '')}"
