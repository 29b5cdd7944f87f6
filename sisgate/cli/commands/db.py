"""`sisgate db`: the version of the ledger's tables, and what to do after a restore."""

from __future__ import annotations

from dataclasses import asdict

import typer

from sisgate.cli.app import Commands
from sisgate.cli.exits import ExitCode
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import Reason
from sisgate.stack import data_folder

app = Commands("db", "Upgrade the database, and restart feeds after a restore.", panel="Set up")


@app.add("sisgate db upgrade")
def upgrade(invocation: Invocation) -> None:
    """Run missing migrations. Several hosts may run it at once."""
    if invocation.settings.is_embedded_database:
        data_folder.make(invocation.settings.data_dir)
    ledger = invocation.gateway.ledger
    ran, found = ledger.upgrade(), ledger.version()
    change = "is now at" if ran else "is already at"
    invocation.output.result(
        {"database": found.database, "version": found.version, "upgraded": ran},
        f"The database {found.database} {change} version {found.version}.",
    )


@app.add("sisgate db current --json")
def current(invocation: Invocation) -> None:
    """Show the version of the tables. Exits with 1 if it is not the newest."""
    output, found = invocation.output, invocation.gateway.ledger.version()
    output.result(
        asdict(found), f"{found.database}: version {found.version or 'none'}, newest {found.newest}"
    )
    if not found.is_newest:
        output.note("Run `sisgate db upgrade`.")
        raise typer.Exit(ExitCode.FAILED)


@app.add("sisgate db restored --reason 'backup of last night'")
def restored(invocation: Invocation, reason: Reason = None) -> None:
    """After restoring an older backup: make every app that follows changes start over."""
    begun = invocation.gateway.datasets.begin_feeds_anew(actor=user_name(), reason=reason or "")
    invocation.output.result(
        {"datasets": list(begun)},
        f"The feeds of {len(begun)} datasets continue above all numbers used so far. An app "
        "with an earlier cursor gets CursorTooOld and starts over.",
    )
