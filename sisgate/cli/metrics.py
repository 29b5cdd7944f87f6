"""`sisgate metrics`: how the fleet stands, for a program that collects such numbers."""

from __future__ import annotations

from dataclasses import asdict

import typer

from sisgate.cli.invocation import invocation_of
from sisgate.cli.options import Json, examples
from sisgate.cli.output import Output, write_lines

EPILOG = examples(
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
