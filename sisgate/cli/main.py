"""The `sisgate` command: all groups together, and every way it can end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from sisgate import __version__
from sisgate.cli.demo import EPILOG as DEMO_EPILOG
from sisgate.cli.demo import demo
from sisgate.cli.exits import ExitCode, exit_code
from sisgate.cli.invocation import Invocation
from sisgate.cli.output import Output, write_line
from sisgate.cli.up import EPILOG as UP_EPILOG
from sisgate.cli.up import up
from sisgate.errors import SisgateError

app = typer.Typer(
    name="sisgate",
    help="Job orchestration between school apps and Student Information Systems.",
    epilog="Begin with [bold]sisgate demo[/bold]. Exit codes and examples: docs/cli.md",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=DEMO_EPILOG)(demo)
app.command(epilog=UP_EPILOG)(up)


def _version(asked: bool) -> None:
    if asked:
        write_line(f"sisgate {__version__}")
        raise typer.Exit


@app.callback()
def global_options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="Configuration file.", envvar="SISGATE_CONFIG", dir_okay=False
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir", "-d", help="Data folder.", envvar="SISGATE_DATA_DIR", file_okay=False
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - the callback has done it all
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that come before every command."""
    context.obj = Invocation(config, data_dir)


def run() -> None:
    """Run the command line and end the process with its exit code."""
    output = Output(as_json="--json" in sys.argv)
    try:
        app(args=globals_first(sys.argv[1:]), prog_name="sisgate")
    except SisgateError as error:
        output.fail(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        output.note(Text("Interrupted."))
        sys.exit(ExitCode.INTERRUPTED)


def globals_first(arguments: list[str]) -> list[str]:
    """Move the global options to the front, so that they may stand anywhere.

    The demo has a `--data-dir` of its own, with a default of its own.

    >>> globals_first(["sync", "lincoln", "--data-dir", "x", "--wait"])
    ['--data-dir', 'x', 'sync', 'lincoln', '--wait']
    """
    if "demo" in arguments:
        return arguments
    first: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in {"--config", "--data-dir"}:
            first += [word, *(value for value in [next(words, None)] if value is not None)]
        elif word.startswith(("--config=", "--data-dir=")):
            first.append(word)
        else:
            rest.append(word)
    return first + rest
