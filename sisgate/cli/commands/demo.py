"""`sisgate demo`: three simulated districts, synced into SQL by the real stack."""

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
from sisgate.cli.invocation import Invocation
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Columns, Grid
from sisgate.cli.watch import Watched, watch
from sisgate.demo.folder import open_demo, remove_demo
from sisgate.stack.interrupts import Interrupts, interrupts
from sisgate.start_up import require_extras

if TYPE_CHECKING:
    from sisgate.demo.run import DemoRun

app = Commands()


PATIENCE_SECONDS = 45.0
"""A demo waits so long for a permit; for a longer wait it ends and says when it goes on."""


@app.add(
    "sisgate demo",
    "sisgate demo --students 500 --fresh",
    note="State is kept in the data folder: a second run finds nothing to change.",
    panel="Run",
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
    require_extras("sisgate demo", "worker", "sandbox")
    from sisgate.demo.run import running

    output, folder = invocation.output, data_dir.absolute()
    if fresh:
        remove_demo(folder)
    plan = open_demo(folder, students)
    output.note(Text("Starting Redis, a worker, beat and three simulated SIS …", "dim"))
    with (
        interrupts() as asked,
        running(plan, folder, lambda: asked.none, lambda: asked.again) as run,
    ):
        code = _interrupted(output) if run is None else _show(run, output, asked, keep=keep)
    raise typer.Exit(code)


def _show(run: DemoRun, output: Presenter, asked: Interrupts, *, keep: bool) -> ExitCode:
    watched = watch(
        run.gateway,
        output,
        run.enqueue(),
        wanted=lambda seen: asked.none and not _too_long(seen),
        pause=run.stack.keep_running,
    )
    if not watched.is_final:
        return _explain(run.gateway.context.clock.now(), output, watched, asked)
    report = run.report(watched.statuses)
    output.json(report)
    output.show("")
    output.show(_resources_table(report["providers"]))
    output.show("")
    output.show(_providers_table(report["providers"]))
    output.show("")
    output.show(_verdict(report))
    output.show(Text("\nLook at the records:"))
    for words in ("records powerschool students -n 10", "changes skyward enrollments -n 10"):
        output.command(f"{commands_of(run.settings)} {words}")
    if keep and asked.none:
        output.note("Running on until Ctrl-C.")
        run.stack.run(lambda: asked.none)
    return ExitCode.OK if report["ok"] else ExitCode.FAILED


def _too_long(seen: Watched) -> bool:
    """Whether all that is left waits for a permit that is far away."""
    left = {
        name for name, statuses in seen.statuses.items() if not all(s.is_final for s in statuses)
    }
    return bool(left) and all(
        name in seen.waits and seen.waits[name].seconds > PATIENCE_SECONDS for name in left
    )


def _interrupted(output: Presenter) -> ExitCode:
    output.note("Stopping. Nothing is lost: the next `sisgate demo` continues where this ended.")
    output.json({"ok": False, "interrupted": True})
    return ExitCode.INTERRUPTED


def _explain(now: datetime, output: Presenter, watched: Watched, asked: Interrupts) -> ExitCode:
    if not asked.none:
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
        "continues where this ended. `sisgate demo --fresh` starts over."
    )
    output.json({"ok": False, "deferred_seconds": round(seconds), "waiting": list(watched.waits)})
    return ExitCode.TRY_AGAIN


def _resources_table(providers: Mapping[str, Mapping[str, Any]]) -> Grid:
    rows = [
        {"provider": name, "resource": resource, **row}
        for name, found in providers.items()
        for resource, row in found["resources"].items()
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
    return Grid(columns, [{"provider": name, **found} for name, found in providers.items()])


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
