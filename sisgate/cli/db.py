"""`sisgate db`: the version of the ledger's tables."""

from __future__ import annotations

import typer

from sisgate.cli import data_folder
from sisgate.cli.exits import ExitCode
from sisgate.cli.invocation import invocation_of
from sisgate.cli.options import Json, examples
from sisgate.cli.output import Output
from sisgate.ledger.database import Database

app = typer.Typer(no_args_is_help=True, help="Bring the database to the version of the code.")


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
