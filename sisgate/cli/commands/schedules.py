"""`sisgate schedules`: what is synced by the clock."""

from __future__ import annotations

from typing import Annotated

import typer

from sisgate.cli.invocation import invocation_of
from sisgate.cli.options import Json, examples
from sisgate.cli.output import Output
from sisgate.gateway.schedules import Schedule

app = typer.Typer(no_args_is_help=True, help="See and run the schedules of the configuration.")


@app.command("list", epilog=examples("sisgate schedules list", "sisgate schedules list --json"))
def list_all(context: typer.Context, as_json: Json = False) -> None:
    """Show the schedules: what they sync, when they are due next, how the last run ended."""
    output = Output(as_json)
    found = invocation_of(context).gateway.schedules.list()
    output.table(
        found,
        {
            "schedule": "name",
            "syncs": _syncs,
            "when": "when",
            "next": "next_at",
            "last": lambda schedule: sorted({job.state for job in schedule.jobs}),
        },
        empty="No schedules. A [schedules.NAME] table in sisgate.toml makes one.",
    )


@app.command(epilog=examples("sisgate schedules run nightly"))
def run(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its name.")],
    as_json: Json = False,
) -> None:
    """Ask for a schedule's syncs now; its next slot stays."""
    output = Output(as_json)
    jobs = invocation_of(context).gateway.schedules.run(name)
    output.table([job.status() for job in jobs], {"job": "id", "resource": "resource"})
    output.note("`sisgate jobs list` shows how far they are.")


def _syncs(schedule: Schedule) -> str:
    names = ", ".join(schedule.resources) if schedule.config.resources else "everything"
    return f"{schedule.config.provider}: {names}"
