"""Dead letters on the command line: which are meant, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from sisgate.cli import completion
from sisgate.cli.invocation import Invocation
from sisgate.cli.lengths import parse_length
from sisgate.cli.output import Output
from sisgate.errors import UsageError
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
    str | None,
    typer.Option(
        "--since",
        metavar="LENGTH|TIME",
        help="Dead letters from then on: 2h, 1d or an ISO 8601 time.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Filter:
    """Which dead letters are meant."""

    provider: str | None = None
    app: str | None = None
    error: str | None = None
    since: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether all of them are."""
        return self == Filter()

    def find(self, invocation: Invocation, limit: int | None = None) -> Sequence[DeadLetter]:
        """Return those that fit; `UnknownProvider` and `UsageError` where one cannot be meant."""
        if self.provider is not None:
            invocation.gateway.provider(self.provider)
        since = parse_since(self.since, invocation.clock.now()) if self.since else None
        return invocation.gateway.dead(
            provider=self.provider, app=self.app, error=self.error, since=since, limit=limit
        )


def parse_since(text: str, now: datetime) -> datetime:
    """Return the time that a length before now, such as 2h, or an ISO 8601 time names.

    >>> from datetime import UTC
    >>> str(parse_since("2h", datetime(2026, 9, 1, 8, tzinfo=UTC)))
    '2026-09-01 06:00:00+00:00'
    """
    if "-" not in text and ":" not in text:
        return now - parse_length(text)
    try:
        since = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since is a length such as 2h or an ISO 8601 time, not {text!r}."
        ) from None
    if since.tzinfo is None:
        raise UsageError("--since needs its zone, such as 2026-12-01T06:00:00-06:00.")
    return since


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
