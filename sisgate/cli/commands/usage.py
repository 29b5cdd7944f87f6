"""`sisgate usage` and `metrics`: what providers were asked for, by app; how the fleet stands."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from sisgate.cli import completion
from sisgate.cli.invocation import invocation_of
from sisgate.cli.options import Json, choice, examples
from sisgate.cli.output import Output, write_lines
from sisgate.cli.screens import moment
from sisgate.cli.tables import Columns
from sisgate.cli.times import AGO, TIME, past
from sisgate.gateway.usage import SPANS

USAGE_EPILOG = examples("sisgate usage", "sisgate usage powerschool --since 30d --by day --json")


def usage(
    context: typer.Context,
    provider: Annotated[
        str | None,
        typer.Argument(
            help="Only of this provider.", autocompletion=completion.providers, show_default=False
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(parser=past, metavar=TIME, help=f"From then on: {AGO}", show_default="1d"),
    ] = None,
    by: Annotated[
        str,
        typer.Option(**choice("--by", SPANS), help="Over what is summed up."),
    ] = "total",
    app: Annotated[
        str | None, typer.Option("--app", help="Only of this app.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Show how many calls each app has used of each provider, and what came of them."""
    invocation, output = invocation_of(context), Output(as_json)
    begin = since or past("1d")
    found = invocation.gateway.providers.usage(provider, app=app, since=begin, by=by)
    columns: Columns = {
        "provider": "provider", "app": "app",
        "calls": "calls", "429": "throttled", "failed": "failed", "rows": "rows",
    }  # fmt: skip
    times: Columns = {} if by == "total" else {"from": "begin"}
    output.table(found, {**times, **columns}, empty=f"No calls since {moment(begin)}.")


METRICS_EPILOG = examples(
    "sisgate metrics",
    "sisgate metrics > /var/lib/node_exporter/sisgate.prom",
    note="Names and meanings: docs/how-to/operations.md",
)


def metrics(context: typer.Context, as_json: Json = False) -> None:
    """Write OpenMetrics text: breakers, calls, limits, queues, jobs, keys."""
    from sisgate.monitoring.openmetrics import render

    reading = invocation_of(context).gateway.fleet.metrics()
    if as_json:
        told = asdict(reading)
        for provider in told["providers"]:
            for endpoint in provider["endpoints"]:
                changes = endpoint["transitions"].items()
                endpoint["transitions"] = [
                    {"state": state, "reason": reason, "count": count}
                    for (state, reason), count in changes
                ]
        Output(as_json).json(told)
        return
    write_lines([render(reading).rstrip("\n")])
