"""`sisgate powerschool-plugin`: the file that a district installs in PowerSchool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sisgate.cli.options import Json, examples
from sisgate.cli.output import Output
from sisgate.errors import UsageError
from sisgate.providers.powerschool_plugin import write_plugin

EPILOG = examples(
    "sisgate powerschool-plugin sisgate-plugin.zip",
)


def powerschool_plugin(
    out: Annotated[Path, typer.Argument(help="Zip file to write.", dir_okay=False)],
    publisher: Annotated[str, typer.Option(help="Shown on the plugin's page.")] = "sisgate",
    contact_email: Annotated[
        str, typer.Option(help="Whom the district asks.")
    ] = "sisgate@example.org",
    as_json: Json = False,
) -> None:
    """Write the PowerSchool plugin: access request, and the queries of the fast way."""
    output = Output(as_json)
    try:
        write_plugin(out, publisher=publisher, contact_email=contact_email)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}.") from error
    output.result(
        {"path": out.absolute()},
        f"Wrote {out}. The district installs it under System > System Settings > Plugin "
        "Management, enables it, and reads client id and secret there.",
    )
