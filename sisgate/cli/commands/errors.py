"""`sisgate errors`: patterns of errors, and marking them as fixed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import OfProvider, Reason, time_ago

if TYPE_CHECKING:
    from sisgate.gateway import ErrorSummary

app = Commands("errors", "What fails how often, since when; marks what is fixed.", panel="Look")

OnePattern = Annotated[
    str, typer.Argument(metavar="PATTERN", help="Id of a pattern, or the beginning of one.")
]

COLOURS = {"rising": "red", "steady": "", "falling": "green"}


@app.add("sisgate errors list", "sisgate errors list --since 1h --all", name="list")
def list_all(
    invocation: Invocation,
    provider: OfProvider = None,
    since: Annotated[datetime | None, time_ago("Seen since")] = None,
    resolved: Annotated[bool, typer.Option("--all", help="Also those that are resolved.")] = False,
) -> None:
    """List patterns of errors, the one that was seen last first."""
    states = ("open", "resolved") if resolved else ("open",)
    found = invocation.gateway.errors.list(states=states, provider=provider, since=since)
    invocation.output.table(
        found,
        {
            "pattern": "id",
            "provider": "provider",
            "kind": lambda each: f"{each.code} {each.status or ''}".strip(),
            "count": "count",
            "lately": "lately",
            "trend": _trend,
            "last seen": "last_seen",
            "message": "message",
        },
        empty="No errors.",
    )


@app.add("sisgate errors show er_3f8a")
def show(invocation: Invocation, pattern: OnePattern) -> None:
    """Show a pattern, and how often it came."""
    errors = invocation.gateway.errors
    found, history = errors.get(pattern), errors.history(pattern)
    values = dict(vars(found))
    values["history"] = {begin.isoformat(): count for begin, count in history.items()}
    fixed = f"{found.fixed_in or 'not said in what'}, by {found.resolved_by}"
    invocation.output.facts(
        [
            ("pattern", found.id),
            ("state", found.state),
            ("provider", found.provider),
            ("endpoint", found.endpoint or "-"),
            ("kind", f"{found.code} {found.status or ''}".strip()),
            ("message", found.message),
            ("count", found.count),
            ("first seen", found.first_seen),
            ("last seen", found.last_seen),
            ("last 20 min", found.lately),
            ("usually", f"{found.usual:g} in 20 min"),
            ("trend", _trend(found)),
            ("last job", found.last_job),
            ("resolved", found.resolved_at),
            ("fixed in", fixed if found.resolved_by else None),
            ("came back", found.reopened_at),
        ],
        json=values,
    )


@app.add('sisgate errors resolve er_3f8a --fixed-in "their release 12.4"')
def resolve(
    invocation: Invocation,
    pattern: OnePattern,
    fixed_in: Annotated[str | None, typer.Option("--fixed-in", help="What fixes it.")] = None,
) -> None:
    """Mark a pattern as fixed. If it comes back, it is open again."""
    found = invocation.gateway.errors.resolve(pattern, fixed_in=fixed_in, actor=user_name())
    invocation.output.result(found, f"{found.id} is resolved.")


@app.add("sisgate errors reopen er_3f8a --reason 'seen again in the log'")
def reopen(invocation: Invocation, pattern: OnePattern, reason: Reason = None) -> None:
    """Take back that a pattern is fixed."""
    found = invocation.gateway.errors.reopen(pattern, reason=reason, actor=user_name())
    invocation.output.result(found, f"{found.id} is open.")


def _trend(pattern: ErrorSummary) -> Text:
    word = "spike" if pattern.is_spike else "new" if pattern.is_new else pattern.trend
    return Text(word, "bold red" if pattern.is_spike else COLOURS[pattern.trend])
