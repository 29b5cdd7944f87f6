"""`sisgate retention`: what is kept how long, and deleting what is over."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from sisgate.cli.invocation import invocation_of, user_name
from sisgate.cli.options import Json, examples
from sisgate.cli.output import Output
from sisgate.cli.screens import number
from sisgate.cli.tables import Columns
from sisgate.privacy.retention import Swept

EPILOG = examples(
    "sisgate retention --dry-run",
    "sisgate retention",
    note="Beat does the same every 5 minutes. Ctrl-C stops between two batches.",
)


def retention(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be deleted.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete what is kept no longer, table by table, as the settings of retention say."""
    invocation, output = invocation_of(context), Output(as_json)
    work = invocation.gateway.privacy.retention
    swept = work.preview() if dry_run else work.run(actor=user_name())
    columns: Columns = {
        "setting": lambda one: one.rule.setting, "kept": _kept,
        "over before": lambda one: one.rule.before, "would go" if dry_run else "deleted": _rows,
    }  # fmt: skip
    output.table(swept, columns, json=[_words(one) for one in swept])
    if dry_run:
        output.note("Nothing was deleted.")


def _words(one: Swept) -> dict[str, Any]:
    rule = one.rule
    return {
        "setting": rule.setting,
        "keep_seconds": rule.keep.total_seconds() if rule.keep is not None else None,
        "before": rule.before,
        "rows": dict(one.rows),
    }


def _kept(one: Swept) -> str:
    keep = one.rule.keep
    if keep is None:
        return "for ever"
    hours = keep.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} h"


def _rows(one: Swept) -> Text | str:
    words = ", ".join(f"{number(count)} {name}" for name, count in one.rows.items() if count)
    return words or Text("nothing", "dim")
