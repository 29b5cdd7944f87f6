"""`sisgate schedules`: what is synced by the clock."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from sisgate.cli.invocation import invocation_of
from sisgate.cli.options import Json, examples
from sisgate.cli.output import Output
from sisgate.cli.screens import moment, state, table

app = typer.Typer(no_args_is_help=True, help="See and run the schedules of the configuration.")


@app.command("list", epilog=examples("sisgate schedules list", "sisgate schedules list --json"))
def list_all(context: typer.Context, as_json: Json = False) -> None:
    """Show the schedules: what they sync, when they are due next, how the last run ended."""
    output = Output(as_json)
    found = invocation_of(context).gateway.schedules.list()
    output.json([schedule.as_dict() for schedule in found])
    if not found:
        output.show(Text("No schedules. A [schedules.NAME] table in sisgate.toml makes one."))
        return
    made = table(("schedule", "syncs", "when", "next", "last"), folds=("syncs", "last"))
    for schedule in found:
        whole = not schedule.config.resources
        names = "everything" if whole else ", ".join(schedule.resources)
        last = Text(", ").join(
            [state(word) for word in sorted({job.state.value for job in schedule.jobs})]
        )
        made.add_row(
            schedule.name, f"{schedule.config.provider}: {names}", schedule.when,
            moment(schedule.next_at), last or "-",
        )  # fmt: skip
    output.show(made)


@app.command(epilog=examples("sisgate schedules run nightly"))
def run(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its name.")],
    as_json: Json = False,
) -> None:
    """Ask for a schedule's syncs now; its next slot stays."""
    output = Output(as_json)
    jobs = invocation_of(context).gateway.schedules.run(name)
    output.json([job.status().as_dict() for job in jobs])
    for job in jobs:
        output.show(Text(f"Job {job.id}: {job.status().resource}"))
    output.note("`sisgate jobs list` shows how far they are.")
