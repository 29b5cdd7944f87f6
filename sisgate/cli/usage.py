"""`sisgate usage`: what providers were asked for, by app."""

from __future__ import annotations

from typing import Annotated

import typer

from sisgate.cli import completion
from sisgate.cli.invocation import invocation_of
from sisgate.cli.lengths import parse_length
from sisgate.cli.options import Json, examples
from sisgate.cli.output import Output
from sisgate.cli.tables import Columns
from sisgate.gateway.usage import SPANS

EPILOG = examples("sisgate usage", "sisgate usage powerschool --since 30d --by day --json")


def usage(
    context: typer.Context,
    provider: Annotated[
        str | None,
        typer.Argument(
            help="Only of this provider.", autocompletion=completion.providers, show_default=False
        ),
    ] = None,
    since: Annotated[str, typer.Option(help="So long ago, such as 12h or 30d.")] = "1d",
    by: Annotated[
        str,
        typer.Option(help=f"{', '.join(SPANS)}.", autocompletion=completion.one_of(*SPANS)),
    ] = "total",
    app: Annotated[
        str | None, typer.Option("--app", help="Only of this app.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Show how many calls each app has used of each provider, and what came of them."""
    invocation, output = invocation_of(context), Output(as_json)
    begin = invocation.clock.now() - parse_length(since)
    found = invocation.gateway.usage(provider, app=app, since=begin, by=by)
    columns: Columns = {
        "provider": "provider", "app": "app",
        "calls": "calls", "429": "throttled", "failed": "failed", "rows": "rows",
    }  # fmt: skip
    times: Columns = {} if by == "total" else {"from": "begin"}
    output.table(found, {**times, **columns}, empty=f"No calls within {since}.")
