"""`sisgate env`, `celery` and `powerschool-plugin`: what connects others to this installation."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from sisgate.cli.app import Commands
from sisgate.cli.invocation import Invocation, Needs
from sisgate.cli.presenter import write_line
from sisgate.errors import UsageError
from sisgate.start_up import require_extras

app = Commands()


@app.add(
    "sisgate env",
    "sisgate env --json",
    note='In a shell: eval "$(sisgate env)". The URLs may hold passwords.',
    panel="Set up",
    needs=Needs.INSTALLATION,
)
def env(invocation: Invocation) -> None:
    """Print the environment for another app on this machine."""
    from sisgate.stack.programs import variables_for_apps

    variables = variables_for_apps(invocation.settings)
    invocation.output.json(variables)
    if not invocation.as_json:
        for name, value in variables.items():
            write_line(f"export {name}={shlex.quote(value)}")


@app.add(
    "sisgate celery worker -n worker@%h",
    "sisgate celery beat",
    "sisgate celery inspect ping",
    panel="Run",  # All arguments are for Celery, even `--help`.
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    needs=Needs.MACHINE,
)
def celery(
    invocation: Invocation,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Arguments for `celery -A workers`.")
    ] = None,
) -> None:
    """Run Celery with sisgate's workers."""
    from sisgate.settings.load import process_environment
    from sisgate.stack.programs import celery_command

    require_extras("sisgate celery", "worker")
    environment = process_environment()
    if invocation.config is not None:
        environment["SISGATE_CONFIG"] = str(invocation.config.absolute())
    if invocation.data_dir is not None:
        environment["SISGATE_DATA_DIR"] = str(invocation.data_dir.absolute())
    command = [*celery_command(), *(arguments or ["--help"])]
    os.execve(command[0], command, environment)  # noqa: S606 - this process becomes Celery


@app.add(
    "sisgate powerschool-plugin sisgate-plugin.zip",
    name="powerschool-plugin",
    panel="Set up",
    needs=Needs.MACHINE,
)
def powerschool_plugin(
    invocation: Invocation,
    out: Annotated[Path, typer.Argument(help="Zip file to write.", dir_okay=False)],
    publisher: Annotated[str, typer.Option(help="Shown on the plugin's page.")] = "sisgate",
    contact_email: Annotated[
        str, typer.Option(help="Contact shown to the district.")
    ] = "sisgate@example.org",
) -> None:
    """Write the PowerSchool plugin with the access request and the fast queries."""
    from sisgate.providers.powerschool_plugin import write_plugin

    try:
        write_plugin(out, publisher=publisher, contact_email=contact_email)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}.") from error
    invocation.output.result(
        {"path": out.absolute()},
        f"Wrote {out}. The district installs it under System > System Settings > Plugin "
        "Management, enables it, and reads client id and secret there.",
    )
