"""`sisgate config`: versions of the fleet's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.changes import apply_plan, lines_of, show_changes
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import Reason, Yes
from sisgate.cli.presenter import write_line
from sisgate.cli.tables import Columns
from sisgate.errors import ConfigurationConflict, UsageError

if TYPE_CHECKING:
    from sisgate.gateway import VersionInfo

app = Commands(
    "config", "Change what the whole fleet shares: providers, apps, schedules.", panel="Control"
)

File = Annotated[
    Path | None,
    typer.Argument(
        help="A configuration file.", dir_okay=False, show_default="this process's sisgate.toml"
    ),
]
Number = Annotated[int, typer.Argument(metavar="VERSION", min=1, help="Number of a version.")]


def _file(invocation: Invocation, file: Path | None) -> Path:
    """Return the file to read; `UsageError` if this process has none."""
    found = file or invocation.settings.config_file
    if found is None:
        raise UsageError("There is no sisgate.toml here: name a file.")
    if not found.is_file():
        raise UsageError(f"There is no file {found}.")
    return found


@app.add("sisgate config check", "sisgate config check new.toml")
def check(invocation: Invocation, file: File = None) -> None:
    """Check a file, and name all mistakes. Connects to nothing."""
    path = _file(invocation, file)
    draft = invocation.gateway.configuration.check(path)
    names = list(draft.configuration.providers)
    schedules = list(draft.configuration.schedules)
    invocation.output.result(
        {"file": path, "providers": names, "schedules": schedules},
        f"{path} is correct. Providers: {len(names)}, schedules: {len(schedules)}.",
    )


@app.add("sisgate config diff", "sisgate config diff new.toml", "sisgate config diff --from 12")
def diff(
    invocation: Invocation,
    file: File = None,
    before: Annotated[
        int | None, typer.Option("--from", min=1, help="Compare this version instead of a file.")
    ] = None,
    after: Annotated[
        int | None,
        typer.Option("--to", min=1, help="With --from.", show_default="the version in force"),
    ] = None,
) -> None:
    """Show what applying a file would change, or how two versions differ."""
    output, configuration = invocation.output, invocation.gateway.configuration
    if before is not None:
        changes = configuration.diff(before, after)
        output.json({"changes": changes})
        lines = lines_of(changes)
        output.show(Text("\n").join(lines) if lines else "Nothing differs.")
        return
    if after is not None:
        raise UsageError("--to needs --from.")
    plan = configuration.plan_change(_file(invocation, file))
    output.json(plan)
    show_changes(output, plan)


@app.add(
    "sisgate config apply",
    "sisgate config apply new.toml --yes --reason 'three new districts'",
    note="Every process follows within a second. Files of other hosts are ignored from then on.",
)
def apply(
    invocation: Invocation,
    file: File = None,
    yes: Yes = False,
    reason: Reason = None,
    based_on: Annotated[
        int | None,
        typer.Option(
            "--based-on", metavar="VERSION", min=0, help="Refuse if another one is in force."
        ),
    ] = None,
    first: Annotated[
        bool,
        typer.Option("--first", help="Only if there is no version yet, as at an installation."),
    ] = False,
) -> None:
    """Make a file the configuration of the fleet, after showing what changes."""
    configuration = invocation.gateway.configuration
    if first and (held := configuration.version()):
        _show_held(invocation, held)
        return
    plan = configuration.plan_change(_file(invocation, file))
    # Asked again, of the ledger: it may not have answered a moment ago.
    if first and plan.base:
        _show_held(invocation, plan.base)
        return
    try:
        apply_plan(invocation, plan, yes=yes, reason=reason, based_on=based_on)
    except ConfigurationConflict as error:
        if not first:
            raise
        _show_held(invocation, error.detail["newest"])  # another host was first


def _show_held(invocation: Invocation, version: int) -> None:
    invocation.output.result(
        {"version": version, "is_new": False, "changes": []},
        f"Version {version} is in force already, so nothing was applied (--first).",
    )


@app.add("sisgate config history", "sisgate config history --limit 100 --json")
def history(
    invocation: Invocation,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 20,
) -> None:
    """List the newest versions: who applied each, when, and why."""
    columns: Columns = {
        "version": "number", "applied": "created_at", "by": "actor",
        "changes": lambda each: Text(_summary(each)), "reason": "reason",
    }  # fmt: skip
    invocation.output.table(
        invocation.gateway.configuration.history(limit),
        columns,
        empty="There is no version yet: each process uses its own file. Apply one with `sisgate "
        "config apply`.",
    )


@app.add("sisgate config show", "sisgate config show 12 > fleet.toml")
def show(
    invocation: Invocation,
    number: Annotated[
        int | None,
        typer.Argument(metavar="VERSION", min=1, help="Its number.", show_default="in force"),
    ] = None,
) -> None:
    """Write a version as a configuration file; `config apply` reads it again."""
    stored = invocation.gateway.configuration.show(number)
    if invocation.output.as_json:
        invocation.output.json({**_as_dict(stored.info), "document": stored.document})
        return
    import tomlkit

    info = stored.info
    why = f": {' '.join(info.reason.split())}" if info.reason else ""
    when = f"{info.created_at:%Y-%m-%d %H:%M} UTC"
    write_line(f"# Version {info.number}, applied by {info.actor} at {when}{why}".rstrip())
    write_line(tomlkit.dumps(stored.document).rstrip())


@app.add("sisgate config rollback 11 --reason 'limits of lincoln were wrong'")
def rollback(
    invocation: Invocation, number: Number, yes: Yes = False, reason: Reason = None
) -> None:
    """Apply an earlier version again, as a new one."""
    plan = invocation.gateway.configuration.plan_rollback(number)
    apply_plan(invocation, plan, yes=yes, reason=reason or f"back to version {number}")


def _summary(version: VersionInfo) -> str:
    signs = {"add": "+", "change": "~", "remove": "-"}
    parts = [
        f"{signs[kind]} {_shortened(version.changes[kind])}"
        for kind in signs
        if version.changes.get(kind)
    ]
    return ", ".join(parts)


def _shortened(names: Sequence[str]) -> str:
    short = [name.removeprefix("providers.") for name in names[:2]]
    return " ".join(short) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _as_dict(info: VersionInfo) -> dict[str, Any]:
    return {
        "number": info.number, "applied_at": info.created_at, "actor": info.actor,
        "reason": info.reason, "based_on": info.based_on,
    }  # fmt: skip
