"""The log of a worker, beat or Flower, which `sisgate.logs.lines` writes instead of Celery."""

import json
import os
import sys
from typing import Any

from celery.signals import celeryd_init, setup_logging

from sisgate.clock import SystemClock
from sisgate.logs import lines
from sisgate.settings import Settings

PROGRAMS = ("worker", "beat", "flower")


def take_over(settings: Settings) -> None:
    """Let Celery configure no logging, but have ours configured at the level that `-l` says."""
    lines.send_to_logging()

    def configure(loglevel: int, logfile: str | None, **_: Any) -> None:
        lines.configure(program() or "celery", settings.log_format, loglevel, logfile)

    setup_logging.connect(configure, weak=False)
    if (name := program()) is not None:
        # Until Celery asks for it: warnings come before.
        lines.configure(name, settings.log_format)
        if not lines.is_pretty(settings.log_format):
            _leave_out_banners(name)


def program() -> str | None:
    """Return which of Celery's programs this is, by its command line; None for none of them."""
    return next((word for word in sys.argv[1:] if word in PROGRAMS), None)


def _leave_out_banners(name: str) -> None:
    """Keep from stdout what is no line of the log."""

    def quieten_worker(instance: Any, **_: Any) -> None:
        from celery.apps import worker

        instance.quiet, worker.safe_say = True, _say

    celeryd_init.connect(quieten_worker, weak=False)
    if name == "beat":
        from celery.apps.beat import Beat

        # It writes its banner before any signal.
        Beat.quiet = property(lambda _: True, lambda *_: None)  # type: ignore[assignment]


def _say(text: str, f: Any = None) -> None:  # noqa: ARG001  # as Celery's has it
    """Write what Celery says in signal handlers, where nothing may wait for the log's lock."""
    event = {
        "timestamp": lines.written(SystemClock().now()), "level": "info", "process": "worker",
        "event": text, "logger": "celery.apps.worker", "pid": os.getpid(),
    }  # fmt: skip
    os.write(2, f"{json.dumps(event)}\n".encode())
