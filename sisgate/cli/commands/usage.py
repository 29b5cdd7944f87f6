"""`sisgate usage` and `metrics`: calls by provider and app, and the state of the fleet."""

from datetime import datetime
from typing import Annotated

import typer

from sisgate.cli.app import Commands
from sisgate.cli.formats import moment
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import MaybeProvider, past, time_ago
from sisgate.cli.presenter import write_line
from sisgate.cli.tables import Columns
from sisgate.domain.choices import Span

app = Commands()


@app.add("sisgate usage", "sisgate usage powerschool --since 30d --by day --json", panel="Look")
def usage(
    invocation: Invocation,
    provider: MaybeProvider = None,
    since: Annotated[datetime | None, time_ago("From then on", show_default="1d")] = None,
    by: Annotated[Span, typer.Option("--by", help="Period to sum over.")] = "total",
    app: Annotated[str | None, typer.Option("--app", help="Only this app.")] = None,
) -> None:
    """Show each app's calls to each provider, and their results."""
    begin = since or past("1d")
    rows = invocation.gateway.providers.usage(provider, app=app, since=begin, by=by)
    columns: Columns = {
        "provider": "provider", "app": "app",
        "calls": "calls", "429": "throttled", "failed": "failed",
        "not sent": "unsent", "rows": "rows",
    }  # fmt: skip
    times: Columns = {} if by == "total" else {"from": "begin"}
    invocation.output.table(rows, {**times, **columns}, empty=f"No calls since {moment(begin)}.")


@app.add(
    "sisgate metrics",
    "sisgate metrics > /var/lib/node_exporter/sisgate.prom",
    note="Names and meanings: docs/reference/monitoring.md",
    panel="Look",
)
def metrics(invocation: Invocation) -> None:
    """Write OpenMetrics text: breakers, calls, limits, queues, jobs, keys."""
    fleet = invocation.gateway.fleet
    if invocation.as_json:
        invocation.output.json(fleet.metrics().as_dict())
    else:
        write_line(fleet.openmetrics().rstrip("\n"))
