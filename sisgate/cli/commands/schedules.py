"""`sisgate schedules`: lists schedules and runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sisgate.cli.app import Commands
from sisgate.cli.invocation import Invocation

if TYPE_CHECKING:
    from sisgate.gateway.schedules import Schedule

app = Commands("schedules", "List and run schedules.", panel="Work")


@app.add("sisgate schedules list", "sisgate schedules list --json", name="list")
def list_all(invocation: Invocation) -> None:
    """List schedules: what they sync, the next run, the result of the last one."""
    schedules = invocation.gateway.schedules.list()
    invocation.output.table(
        schedules,
        {
            "schedule": "name",
            "syncs": _syncs,
            "when": "when",
            "next": "next_at",
            "last": lambda schedule: sorted({job.state for job in schedule.jobs}),
        },
        empty="No schedules. Add a [schedules.NAME] table to sisgate.toml.",
    )
    if schedules:
        for obstacle in invocation.gateway.fleet.liveness([]).periodic:
            invocation.output.warn(str(obstacle))


@app.add("sisgate schedules run nightly")
def run(
    invocation: Invocation,
    name: Annotated[str, typer.Argument(metavar="SCHEDULE", help="Name of the schedule.")],
) -> None:
    """Run a schedule now; its next run does not move."""
    jobs = invocation.gateway.schedules.run(name)
    invocation.output.table([job.status() for job in jobs], {"job": "id", "resource": "resource"})
    invocation.output.note("`sisgate jobs list` shows their progress.")


def _syncs(schedule: Schedule) -> str:
    names = ", ".join(schedule.resources) if schedule.config.resources else "everything"
    return f"{schedule.config.provider}: {names}"
