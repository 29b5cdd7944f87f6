"""The filter of jobs on the command line, as in the console: `state:failed provider:x since:2h`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import typer

from sisgate.cli.params import complete_provider
from sisgate.domain.job_filter import QUALIFIERS, VALUES

HELP = (
    "Words that all hold, such as state:failed provider:lincoln since:2h is:dead, or the "
    f"beginning of an id. Qualifiers: {', '.join(QUALIFIERS)}."
)


def complete_filter(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a word of a filter: the qualifier, then its value. Never fails."""
    name, colon, value = incomplete.partition(":")
    if not colon:
        return [f"{each}:" for each in QUALIFIERS if each.startswith(name)]
    if name == "provider":
        return [f"provider:{each}" for each in complete_provider(context, value)]
    return [f"{name}:{each}" for each in VALUES.get(name, ()) if each.startswith(value)]


Filter = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILTER...]", help=HELP, autocompletion=complete_filter),
]

_IDS = "Ids, or the beginnings of ids; or a filter, as with `jobs list`: all jobs that match."
JobsOrFilter = Annotated[
    list[str], typer.Argument(metavar="JOB|FILTER...", help=_IDS, autocompletion=complete_filter)
]
MaybeJobsOrFilter = Annotated[
    list[str] | None,
    typer.Argument(metavar="[JOB|FILTER...]", help=_IDS, autocompletion=complete_filter),
]


def query_of(
    words: Sequence[str] | None, options: Mapping[str, str | None], states: Iterable[str] = ()
) -> str:
    """Return the query of a filter's words and of the options that say the same, by qualifier."""
    named = [*(("state", each) for each in states), *options.items()]
    return " ".join(
        [*(words or ()), *(f"{name}:{value}" for name, value in named if value is not None)]
    )


def is_filter(words: Iterable[str] | None) -> bool:
    """Whether words are a filter: one has a qualifier, which no id has."""
    return any(":" in word for word in words or ())
