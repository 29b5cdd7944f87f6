"""`sisgate schedules`: lists schedules and runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sisgate.cli.app import Commands
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import Reason
from sisgate.cli.tables import Columns

if TYPE_CHECKING:
    from sisgate.gateway.schedules import Schedule

app = Commands("schedules", "List and run schedules.", panel="Work")

Name = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Name of the schedule.")]


@app.add("sisgate schedules list", "sisgate schedules list --json", name="list")
def list_all(invocation: Invocation) -> None:
    """List schedules: what they sync, the next run, the result of the last one."""
    schedules = invocation.gateway.schedules.list()
    invocation.output.table(
        schedules,
        {
            "schedule": "name",
            "syncs": _syncs,
            "when": _when,
            "next": "next_at",
            "last": lambda schedule: sorted({job.state for job in schedule.jobs}),
        },
        empty="No schedules. Add a [schedules.NAME] table to sisgate.toml.",
    )
    if schedules:
        for obstacle in invocation.gateway.fleet.liveness([]).periodic:
            invocation.output.warn(str(obstacle))


@app.add("sisgate schedules show nightly")
def show(invocation: Invocation, name: Name) -> None:
    """Show when each provider of a schedule starts next."""
    schedule = invocation.gateway.schedules.get(name)
    invocation.output.table(
        sorted(schedule.starts.items(), key=lambda each: each[1]),
        {"provider": lambda each: each[0], "next": lambda each: each[1]},
        json=schedule.as_dict(),
        empty=f"{name} selects no provider: {schedule.of}.",
    )
    for obstacle in invocation.gateway.fleet.liveness([]).periodic:
        invocation.output.warn(str(obstacle))


@app.add('sisgate schedules run nightly --reason "the district has corrected its export"')
def run(invocation: Invocation, name: Name, reason: Reason = None) -> None:
    """Run a schedule now; its next run does not move."""
    gateway = invocation.gateway
    jobs = gateway.jobs.statuses([job.id for job in gateway.schedules.run(name, reason=reason)])
    columns: Columns = {"job": "id", "provider": "provider", "resource": "resource"}
    invocation.output.table(jobs, columns)
    invocation.output.note("`sisgate jobs list` shows their progress.")


def _when(schedule: Schedule) -> str:
    cron = schedule.cron
    return f"{schedule.in_words} ({cron})" if cron else schedule.in_words


def _syncs(schedule: Schedule) -> str:
    names = ", ".join(schedule.resources) if not schedule.is_whole else "everything"
    count = f" ({len(schedule.starts)})" if schedule.where is not None else ""
    return f"{schedule.of}{count}: {names}"
