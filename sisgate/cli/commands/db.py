"""`sisgate db`: migrates the ledger's tables, and restarts feeds after a restore."""

from dataclasses import asdict

import typer

from sisgate.cli.app import Commands
from sisgate.cli.exits import ExitCode
from sisgate.cli.invocation import Invocation, Needs, user_name
from sisgate.cli.params import Reason

app = Commands("db", "Upgrade the database, and restart feeds after a restore.", panel="Set up")


@app.add("sisgate db upgrade", needs=Needs.INSTALLATION)
def upgrade(invocation: Invocation) -> None:
    """Run missing migrations. Safe to run on several hosts at once."""
    from sisgate.stack import data_folder

    if invocation.settings.is_embedded_database:
        data_folder.make(invocation.settings.data_dir)
    ledger = invocation.installation.ledger
    ran, schema = ledger.upgrade(), ledger.version()
    change = "is now at" if ran else "is already at"
    invocation.output.result(
        {"database": schema.database, "version": schema.version, "upgraded": ran},
        f"The database {schema.database} {change} version {schema.version}.",
    )


@app.add("sisgate db current --json", needs=Needs.INSTALLATION)
def current(invocation: Invocation) -> None:
    """Show the version of the tables. Exits with 1 if it is not the newest."""
    output, schema = invocation.output, invocation.installation.ledger.version()
    output.result(
        asdict(schema),
        f"{schema.database}: version {schema.version or 'none'}, newest {schema.newest}",
    )
    if not schema.is_newest:
        output.note("Run `sisgate db upgrade`.")
        raise typer.Exit(ExitCode.FAILED)


@app.add("sisgate db restored --reason 'backup of last night'")
def restored(invocation: Invocation, reason: Reason = None) -> None:
    """After restoring an older backup, make every app that follows changes start over."""
    begun = invocation.gateway.datasets.begin_feeds_anew(actor=user_name(), reason=reason or "")
    invocation.output.result(
        {"datasets": list(begun)},
        f"The feeds of {len(begun)} datasets continue above all numbers used so far. An app "
        "with an earlier cursor gets CursorTooOld and starts over.",
    )
