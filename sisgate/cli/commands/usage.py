"""`sisgate usage` and `metrics`: what providers were asked for, by app; how the fleet stands."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from sisgate.cli.app import Commands
from sisgate.cli.formats import moment
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import complete_provider, past, time_ago
from sisgate.cli.presenter import write_lines
from sisgate.cli.tables import Columns
from sisgate.gateway.usage import Span

app = Commands()


@app.add("sisgate usage", "sisgate usage powerschool --since 30d --by day --json", panel="Look")
def usage(
    invocation: Invocation,
    provider: Annotated[
        str | None,
        typer.Argument(help="Only of this provider.", autocompletion=complete_provider),
    ] = None,
    since: Annotated[
        datetime | None,
        time_ago("From then on", show_default="1d"),
    ] = None,
    by: Annotated[
        Span,
        typer.Option("--by", help="Over what is summed up."),
    ] = "total",
    app: Annotated[str | None, typer.Option("--app", help="Only of this app.")] = None,
) -> None:
    """Show how many calls each app has used of each provider, and what came of them."""
    output = invocation.output
    begin = since or past("1d")
    found = invocation.gateway.providers.usage(provider, app=app, since=begin, by=by)
    columns: Columns = {
        "provider": "provider", "app": "app",
        "calls": "calls", "429": "throttled", "failed": "failed", "rows": "rows",
    }  # fmt: skip
    times: Columns = {} if by == "total" else {"from": "begin"}
    output.table(found, {**times, **columns}, empty=f"No calls since {moment(begin)}.")


@app.add(
    "sisgate metrics",
    "sisgate metrics > /var/lib/node_exporter/sisgate.prom",
    note="Names and meanings: docs/how-to/operations.md",
    panel="Look",
)
def metrics(invocation: Invocation) -> None:
    """Write OpenMetrics text: breakers, calls, limits, queues, jobs, keys."""
    from sisgate.monitoring.openmetrics import render

    reading = invocation.gateway.fleet.metrics()
    if invocation.as_json:
        told = asdict(reading)
        for provider in told["providers"]:
            for endpoint in provider["endpoints"]:
                changes = endpoint["transitions"].items()
                endpoint["transitions"] = [
                    {"state": state, "reason": reason, "count": count}
                    for (state, reason), count in changes
                ]
        invocation.output.json(told)
        return
    write_lines([render(reading).rstrip("\n")])
