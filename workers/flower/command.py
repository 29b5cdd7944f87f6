"""`celery -A workers flower`: Flower's own command, begun with a login and our defaults.

Options on the command line and `FLOWER_…` variables are Flower's and go before the defaults. Only
the login cannot be left out.
"""

import atexit
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click
from celery.bin.celery import celery as celery_command

from sisgate.logs import get_logger, lines
from sisgate.settings import Settings
from sisgate.stack.flower_login import login_file

log = get_logger()

SAVE_SECONDS = 60
"""How often Flower's memory is written: a killed Flower loses at most so much of its list."""

MOST_TASKS = 20_000
"""How many tasks Flower remembers. All of them are written each time."""


def take_over(settings: Settings) -> None:
    """Let the `flower` command of Celery's command line, if Flower is installed, begin ours."""
    command = celery_command.commands.get("flower")
    if command is not None:
        # By the time an app is loaded, the command is chosen; Celery changes callbacks so, too.
        command.callback = click.pass_context(partial(_run, settings))


def _run(settings: Settings, context: click.Context, tornado_argv: Sequence[str]) -> None:
    """Run Flower until SIGTERM or Ctrl-C."""
    from flower import command, urls
    from tornado.options import options

    from workers.flower.application import FleetFlower

    os.umask(0o077)  # what it remembers is read back as pickle: nobody else may write there
    folder = settings.data_dir / "flower"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _set_defaults(options, folder)
        command.apply_env_options()
        command.apply_options(sys.argv[0], tornado_argv)
        if not options.basic_auth and not options.auth:
            file = login_file(settings)
            options.basic_auth = [login_of(file)]
            log.info("flower_login", file=str(file))
    except OSError as error:
        sys.exit(
            f"sisgate: Flower needs {error.filename or folder}: {error.strerror}. Set "
            "SISGATE_DATA_DIR to a folder that it may write, or name a file with USER:PASSWORD in "
            "SISGATE_FLOWER_PASSWORD_FILE."
        )
    command.extract_settings()
    lines.configure("flower", settings.log_format, (options.logging or "info").upper())
    command.setup_logging()  # which silences its log of requests
    server = FleetFlower(context.obj.app, options, urls.settings, settings.console_url)
    atexit.register(server.stop)
    signal.signal(signal.SIGTERM, command.sigterm_handler)
    port = server.start_http_server()
    if not context.obj.quiet:
        command.print_banner(context.obj.app, "ssl_options" in urls.settings, port)
    with suppress(KeyboardInterrupt, SystemExit):
        server.start()


def _set_defaults(options: Any, folder: Path) -> None:
    options.address = "127.0.0.1"
    options.persistent = True
    options.db = str(folder / "state")
    options.state_save_interval = SAVE_SECONDS * 1000
    options.max_tasks = MOST_TASKS
    options.tasks_columns = "name,uuid,state,result,received,runtime,worker"


def login_of(file: Path) -> str:
    """Return the user and password in a file; exit with a message if there are none."""
    login = file.read_text("utf-8").strip()
    user, colon, password = login.partition(":")
    if not (user and colon and password):
        sys.exit(f"sisgate: {file} must hold USER:PASSWORD, the login of Flower.")
    return login
