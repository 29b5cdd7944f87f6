"""`sisgate demo`: syncs three simulated districts into SQL with the real stack."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.exits import ExitCode
from sisgate.cli.formats import clock_time, commands_of, duration, number, state
from sisgate.cli.invocation import Invocation, Needs
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Columns, Grid
from sisgate.cli.watch import Watched, watch
from sisgate.stack.interrupts import interrupts
from sisgate.start_up import require_extras

if TYPE_CHECKING:
    from sisgate.demo.run import DemoRun
    from sisgate.stack.interrupts import Interrupts

app = Commands()


PATIENCE_SECONDS = 45.0
"""If the next permit is further away, the demo ends and says when to continue."""


@app.add(
    "sisgate demo",
    "sisgate demo --students 500 --fresh",
    note="State is kept in the data folder: a second run finds nothing to change.",
    panel="Run",
    needs=Needs.MACHINE,
)
def demo(
    invocation: Invocation,
    students: Annotated[
        int | None,
        typer.Option(
            min=1, max=200_000, help="Students of the largest district.", show_default="5000"
        ),
    ] = None,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", "-d", help="Data folder.", file_okay=False)
    ] = Path(".sisgate-demo"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Discard earlier runs.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")
    ] = False,
) -> None:
    """Run a demo: a sandbox of three SIS, synced within their quotas."""
    from sisgate.demo.folder import open_demo, remove_demo

    require_extras("sisgate demo", "worker", "sandbox")
    from sisgate.demo.run import running

    output, folder = invocation.output, data_dir.absolute()
    if fresh:
        remove_demo(folder)
    plan = open_demo(folder, students)
    output.note(Text("Starting Redis, a worker, beat and three simulated SIS …", "dim"))
    with (
        interrupts() as stops,
        running(plan, folder, lambda: stops.none, lambda: stops.again) as run,
    ):
        code = _interrupted(output) if run is None else _show(run, output, stops, keep=keep)
    raise typer.Exit(code)


def _show(run: DemoRun, output: Presenter, stops: Interrupts, *, keep: bool) -> ExitCode:
    watched = watch(
        run.gateway,
        output,
        run.enqueue(),
        clock=run.gateway.context.clock,
        proceed=lambda watched: stops.none and not _too_long(watched),
        pause=run.stack.keep_running,
    )
    if not watched.is_final:
        return _explain(run.gateway.context.clock.now(), output, watched, stops)
    report = run.report(watched.statuses)
    output.json(report)
    output.show("")
    output.show(_resources_table(report["providers"]))
    output.show("")
    output.show(_providers_table(report["providers"]))
    output.show("")
    output.show(_verdict(report))
    output.show(Text("\nLook at the records:"))
    for command in ("records powerschool students -n 10", "changes skyward enrollments -n 10"):
        output.command(f"{commands_of(run.settings)} {command}")
    if keep and stops.none:
        output.note("Running until Ctrl-C.")
        run.stack.run(lambda: stops.none)
    return ExitCode.OK if report["ok"] else ExitCode.FAILED


def _too_long(watched: Watched) -> bool:
    """Whether every unfinished provider waits for a distant permit."""
    unfinished = {
        name for name, statuses in watched.statuses.items() if not all(s.is_final for s in statuses)
    }
    waits = (watched.waits.get(name) for name in unfinished)
    return bool(unfinished) and all(wait and wait.seconds > PATIENCE_SECONDS for wait in waits)


def _interrupted(output: Presenter) -> ExitCode:
    output.note("Stopping. Nothing is lost: the next `sisgate demo` continues from here.")
    output.json({"ok": False, "interrupted": True})
    return ExitCode.INTERRUPTED


def _explain(now: datetime, output: Presenter, watched: Watched, stops: Interrupts) -> ExitCode:
    if not stops.none:
        return _interrupted(output)
    seconds = max(wait.seconds for wait in watched.waits.values())
    names = ", ".join(watched.waits)
    if any(wait.reason == "paused" for wait in watched.waits.values()):
        output.warn(f"{names} is paused. Start over with `sisgate demo --fresh`.")
        output.json({"ok": False, "waiting": list(watched.waits)})
        return ExitCode.TRY_AGAIN
    output.warn(
        f"Earlier runs have used up the hourly quota of {names}, and sisgate keeps to it. Run "
        f"`sisgate demo` again at {clock_time(now, seconds)} (in {duration(seconds)}): it "
        "continues from here. `sisgate demo --fresh` starts over."
    )
    output.json({"ok": False, "deferred_seconds": round(seconds), "waiting": list(watched.waits)})
    return ExitCode.TRY_AGAIN


def _resources_table(providers: Mapping[str, Mapping[str, Any]]) -> Grid:
    rows = [
        {"provider": name, "resource": resource, **row}
        for name, provider in providers.items()
        for resource, row in provider["resources"].items()
    ]
    columns: Columns = {
        "provider": lambda row: Text(row["provider"], "bold cyan"),
        **{name: name for name in (
            "resource", "records", "inserted", "updated", "deleted", "calls",
        )},
        "time": lambda row: timedelta(seconds=row["seconds"]),
        "state": lambda row: state(row["state"]),
    }  # fmt: skip
    return Grid(columns, rows)


def _providers_table(providers: Mapping[str, Mapping[str, Any]]) -> Grid:
    columns: Columns = {
        "provider": lambda row: Text(row["provider"], "bold"),
        "limit": lambda row: row["limit"] or "off",
        "records": "records",
        "calls": "calls",
        "quota left": "quota_left",
        "throttled": lambda row: row["sandbox"]["throttled"],
        "time": lambda row: timedelta(seconds=row["seconds"]),
    }
    return Grid(columns, [{"provider": name, **provider} for name, provider in providers.items()])


def _verdict(report: Mapping[str, Any]) -> Text:
    sums = report["totals"]
    if not report["ok"]:
        return Text("Not every sync succeeded; see the states above.", "bold red")
    changes = f"{number(sums['inserted'])} inserts, {number(sums['updated'])} updates, "
    changes += f"{number(sums['deleted'])} deletes"
    cost = f"{number(sums['calls'])} calls, {number(sums['throttled'])} refused by a quota"
    if not report["changed"]:
        return Text(f"Nothing changed: {changes}. {cost}.", "bold green")
    return Text(f"{number(sums['records'])} records in SQL: {changes}. {cost}.", "bold green")
