"""Events for the log: static names, and fields with ids. `lines` writes them, for our processes.

Where structlog is configured, it gets them: by our processes, or by an app that has a gateway. Else
they go to the standard library's logging, so an app finds them where it finds those of others.
"""

import logging
from typing import Any

import structlog

__all__ = ["concerning", "get_logger"]


class Logger:
    """Logs events: `log.info("job_planned", job=…)`, also `debug`, `warning`, `error`, `exception`.

    Each event of the code has a row in docs/reference/logs.md, and a test that says so.
    """

    def __init__(self, name: str) -> None:
        self._configured = structlog.get_logger(name)
        self._plain = structlog.wrap_logger(
            logging.getLogger(name),
            wrapper_class=structlog.stdlib.BoundLogger,
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.processors.ExceptionRenderer(),
                structlog.processors.KeyValueRenderer(key_order=["event"], drop_missing=True),
            ],
        )

    def __getattr__(self, level: str) -> Any:
        """Return the method of a level."""
        return getattr(self._configured if structlog.is_configured() else self._plain, level)


def get_logger(name: str = "sisgate") -> Logger:
    """Return a logger for events."""
    return Logger(name)


def concerning(**ids: object) -> None:
    """Let what this thread logs from now on carry these ids, and none of before; None is left out.

    Also what libraries log: a warning of the database names the call that it came with.
    """
    structlog.contextvars.clear_contextvars()
    known = {name: value for name, value in ids.items() if value is not None}
    if known:
        structlog.contextvars.bind_contextvars(**known)
