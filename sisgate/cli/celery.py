"""`sisgate celery`: the `celery` command for the workers that came with this installation."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import sisgate
from sisgate.cli.invocation import invocation_of
from sisgate.cli.options import examples
from sisgate.extras import need
from sisgate.settings.load import process_environment

EPILOG = examples(
    "sisgate celery worker -Q powerschool -n powerschool@%h",
    "sisgate celery beat",
    "sisgate celery inspect ping",
)


def celery(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="What follows `celery -A workers`.")
    ] = None,
) -> None:
    """Run Celery with sisgate's own workers, whatever else is called `workers` here."""
    need("sisgate celery", "worker")
    invocation, environment = invocation_of(context), process_environment()
    if invocation.config is not None:
        environment["SISGATE_CONFIG"] = str(invocation.config.absolute())
    if invocation.data_dir is not None:
        environment["SISGATE_DATA_DIR"] = str(invocation.data_dir.absolute())
    command = [*celery_command(), *(arguments or ["--help"])]
    os.execve(command[0], command, environment)  # noqa: S606 - this process becomes Celery


def celery_command() -> list[str]:
    """Return the start of a command line that is `celery -A workers` for our package `workers`.

    By its path, and `-P` keeps the current folder out: another package of that name is not met.
    """
    return [sys.executable, "-P", str(_fleet() / "workers" / "__main__.py")]


def _fleet() -> Path:
    """Return the folder of `workers` and `beat_schedule.py`: in a wheel, or of the checkout."""
    package = Path(sisgate.__file__).parent
    installed = package / "_fleet"
    return installed if (installed / "workers").exists() else package.parent
