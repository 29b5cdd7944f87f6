"""`sisgate db`: the version of the ledger's tables, and what to do after a restore."""

from __future__ import annotations

import typer

from sisgate.cli.exits import ExitCode
from sisgate.cli.invocation import invocation_of, user_name
from sisgate.cli.options import Json, Reason, examples
from sisgate.cli.output import Output
from sisgate.ledger.database import Database
from sisgate.stack import data_folder

app = typer.Typer(
    no_args_is_help=True,
    help="Bring the database to the version of the code; after a restore, restart the feeds.",
)


@app.command(epilog=examples("sisgate db upgrade"))
def upgrade(context: typer.Context, as_json: Json = False) -> None:
    """Run the missing migrations. Safe to run from several places at once."""
    from sisgate.ledger import migrate

    invocation, output = invocation_of(context), Output(as_json)
    settings = invocation.settings
    if settings.is_embedded_database:
        data_folder.make(settings.data_dir)
    database = Database(settings.sqlalchemy_url)
    ran, version = migrate.upgrade(database), migrate.newest()
    words = "is now at" if ran else "is already at"
    output.result(
        {"database": database.address, "version": version, "upgraded": ran},
        f"The database {database.address} {words} version {version}.",
    )


@app.command(epilog=examples("sisgate db current --json"))
def current(context: typer.Context, as_json: Json = False) -> None:
    """Show the version of the tables; exit code 1 when they are not the newest."""
    from sisgate.ledger import migrate

    invocation, output = invocation_of(context), Output(as_json)
    database = invocation.database
    version, newest = migrate.current(database), migrate.newest()
    output.result(
        {"database": database.address, "version": version, "newest": newest},
        f"{database.address}: version {version or 'none'}, newest {newest}",
    )
    if version != newest:
        output.note("Run `sisgate db upgrade`.")
        raise typer.Exit(ExitCode.FAILED)


@app.command(epilog=examples("sisgate db restored --reason 'backup of last night'"))
def restored(context: typer.Context, reason: Reason = None, as_json: Json = False) -> None:
    """After restoring an older backup: have every app that follows changes start anew."""
    invocation, output = invocation_of(context), Output(as_json)
    begun = invocation.gateway.datasets.begin_feeds_anew(actor=user_name(), reason=reason or "")
    output.result(
        {"datasets": list(begun)},
        f"The feeds of {len(begun)} datasets go on above all numbers given so far. An app that "
        "holds a cursor of before gets CursorTooOld, reads the records anew and goes on.",
    )
