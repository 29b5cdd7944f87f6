"""Showing what a change of the configuration would do, confirming it, and applying it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from sisgate.cli.formats import counted, number
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.presenter import Presenter
from sisgate.errors import UsageError

if TYPE_CHECKING:
    from sisgate.gateway import ConfigurationPlan, TableChange

MOST_LINES = 60
"""Of a longer list the rest is only counted; --json has it all."""

_SIGNS = {"add": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red")}


def lines_of(changes: Sequence[TableChange]) -> list[Text]:
    """Return the lines that show changes: a line for each table, then those of its settings."""
    lines: list[Text] = []
    for change in changes:
        sign, style = _SIGNS[change.kind]
        lines.append(Text.assemble((f"{sign} {change.subject}", style)))
        lines += [Text(f"    {_setting(change.kind, each)}") for each in change.settings]
    if len(lines) > MOST_LINES:
        rest = len(lines) - MOST_LINES
        lines = [*lines[:MOST_LINES], Text(f"… and {number(rest)} more lines (--json has all)")]
    return lines


def _setting(kind: str, setting: Any) -> str:
    if kind == "add":
        return f"{setting.name} = {_value(setting.after)}"
    absent = "(none)" if setting.name.startswith("endpoints.") else "(default)"
    before, after = _value(setting.before, absent), _value(setting.after, absent)
    return f"{setting.name}: {before} → {after}"


def _value(value: Any, absent: str = "(default)") -> str:
    return absent if value is None else json.dumps(value, ensure_ascii=False)


def show_changes(output: Presenter, plan: ConfigurationPlan) -> None:
    """Show what a plan changes, and what that does to waiting work."""
    if not plan.changes:
        output.show(f"Nothing differs from version {plan.base}, which is in force.")
        return
    output.show(Text("\n").join(lines_of(plan.changes)))
    counts = [
        f"{sum(each.kind == kind for each in plan.changes)} to {kind}"
        for kind in _SIGNS
        if any(each.kind == kind for each in plan.changes)
    ]
    base = f"version {plan.base} is in force" if plan.base else "no version is in force yet"
    output.show(f"{', '.join(counts)}; {base}.")
    for provider, jobs in plan.cancels.items():
        output.warn(f"{_jobs(jobs, provider)} {'ends' if jobs == 1 else 'end'} as cancelled.")
    for text in plan.lost_messages:
        output.warn(text)
    if plan.removed_providers:
        output.note(
            "Calls under way finish. Records and changes of removed providers stay; a provider "
            "that is added again continues its feeds."
        )


def _jobs(count: int, provider: str) -> str:
    return f"{counted(count, 'waiting job')} of {provider}"


def apply_plan(
    invocation: Invocation,
    plan: ConfigurationPlan,
    *,
    yes: bool,
    reason: str | None,
    based_on: int | None = None,
    dry_run: bool = False,
    quiet: bool = False,
) -> None:
    """Show a plan, ask for confirmation, apply it, and show the result.

    Raises `UsageError` without `--yes` where nobody can be asked. With `quiet`, no JSON is written.
    """
    output = invocation.output
    if plan.changes or dry_run:
        show_changes(output, plan)
    if dry_run:
        if not quiet:
            output.json({**plan.as_dict(), "applied": False})
        output.note("Nothing was changed.")
        return
    if plan.changes:
        confirm(output, "Apply?", yes=yes)
    applied = invocation.gateway.configuration.apply(
        plan, actor=user_name(), reason=reason, based_on=based_on
    )
    version = applied.version.number
    if not applied.is_new:
        output.result(applied, f"Nothing differs from version {version}, which stays in force.")
        return
    if not quiet:
        output.json(applied)
    output.show(f"Version {version} is in force.")
    for provider, jobs in applied.cancelled.items():
        output.note(f"{_jobs(jobs, provider)} ended as cancelled.")
    if not applied.holds_now:
        output.warn(
            "Redis cannot be reached. The version is in the ledger; processes notice it there "
            "within seconds."
        )


def confirm(output: Presenter, question: str, *, yes: bool) -> None:
    """Ask for confirmation; `UsageError` where nobody can be asked."""
    if yes:
        return
    if output.as_json or not sys.stdin.isatty():
        raise UsageError(
            "Cannot ask for confirmation: the input is not a terminal. Add --yes to apply."
        )
    if not typer.confirm(question, err=True):
        raise typer.Abort
