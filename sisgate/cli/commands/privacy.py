"""`sisgate erase` and `retention`: delete data on request and by age."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.exits import ExitCode
from sisgate.cli.formats import number
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import Reason, complete_provider
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Columns, Grid
from sisgate.domain.choices import PersonResource
from sisgate.errors import UsageError

if TYPE_CHECKING:
    from sisgate.gateway import ErasureReport, RetentionResult

app = Commands()


@app.add(
    "sisgate erase --provider skyward --person - --dry-run < id.txt",
    "sisgate erase --provider skyward --person 8f3a-11 --reason 'request 2026-117'",
    "sisgate erase --provider skyward --person 8f3a-11 --lift --reason 'enrolled again'",
    note="The shell keeps an id on the command line in its history; - reads it from stdin.",
    panel="Control",
)
def erase(
    invocation: Invocation,
    provider: Annotated[
        str,
        typer.Option(
            help="Whose records.", autocompletion=complete_provider
        ),
    ],
    person: Annotated[
        str,
        typer.Option(
            metavar="SOURCED_ID", help="As `sisgate records` shows it; - for stdin.",
        ),
    ],
    resource: Annotated[
        PersonResource | None, typer.Option("--resource", help="If two persons share the id.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
    suppress: Annotated[
        bool, typer.Option("--suppress/--no-suppress", help="Keep the person out of later syncs.")
    ] = True,
    lift: Annotated[
        bool, typer.Option("--lift", help="Erase nothing; let later syncs store the person again.")
    ] = False,
    reason: Reason = None,
) -> None:  # fmt: skip
    """Erase a student or teacher from all tables, then search for remaining data."""
    sourced_id = sys.stdin.readline().strip() if person == "-" else person
    if not sourced_id:
        raise UsageError("--person is empty: give the id of a person.")
    if not reason and not dry_run:
        raise UsageError("Give a --reason for the audit log, without naming the person.")
    gateway, actor = invocation.gateway, user_name()
    if lift:
        lifted = gateway.privacy.lift(
            provider, sourced_id, actor=actor, reason=reason or "", resource=resource
        )
        change = "store the person again" if lifted else "were not leaving that person out"
        result = {"provider": provider, "lifted": lifted}
        invocation.output.result(result, f"Later syncs of {provider} {change}.")
        return
    report = gateway.privacy.erase(
        provider, sourced_id, resource=resource, actor=actor, reason=reason or "",
        suppress=suppress, dry_run=dry_run,
    )  # fmt: skip
    _show(invocation.output, report)
    if not report.is_clean:
        raise typer.Exit(ExitCode.FAILED)


def _show(output: Presenter, report: ErasureReport) -> None:
    done = "would be erased" if report.dry_run else "erased"
    output.table(
        sorted(report.done.items()),
        {"what": lambda row: row[0], done: lambda row: row[1]},
        json=report,
    )
    if report.dry_run:
        output.note("Nothing was erased.")
        return
    if report.left:
        left: Columns = {
            "still in": "table", "column": "column", "rows": "rows", "what": "kind", "note": "note",
        }  # fmt: skip
        output.show(Grid(left, report.left))
    else:
        output.show("A search of all tables for their identifiers and names found nothing.")
    if report.suppressed:
        output.show("Later syncs leave the person out; --lift ends that.")
    else:
        output.warn("The next sync stores the person again, as long as the provider has them.")
    if report.compacted is False:
        output.warn(
            "The database is in use, so freed space in its file was not overwritten. Run the same "
            "command again when the database is less busy."
        )
    output.note(
        "Apps that read the records, exports and backups keep their own copies: "
        "docs/explanation/privacy.md."
    )


@app.add(
    "sisgate retention --dry-run",
    "sisgate retention",
    note="Beat does this every 5 minutes. Ctrl-C stops between two batches.",
    panel="Control",
)
def retention(
    invocation: Invocation,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be deleted.")
    ] = False,
) -> None:
    """Delete data past its retention period, table by table."""
    work = invocation.gateway.privacy.retention
    swept = work.preview() if dry_run else work.run(actor=user_name())
    columns: Columns = {
        "setting": lambda result: result.rule.setting, "kept": _kept,
        "expired before": lambda result: result.rule.before,
        "would be deleted" if dry_run else "deleted": _rows,
    }  # fmt: skip
    invocation.output.table(swept, columns)
    if dry_run:
        invocation.output.note("Nothing was deleted.")


def _kept(result: RetentionResult) -> str:
    keep = result.rule.keep
    if keep is None:
        return "forever"
    hours = keep.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} h"


def _rows(result: RetentionResult) -> Text | str:
    rows = ", ".join(f"{number(count)} {name}" for name, count in result.rows.items() if count)
    return rows or Text("nothing", "dim")
