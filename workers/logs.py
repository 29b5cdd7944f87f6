"""How workers log: static event names with key-value fields, through Celery's own handlers.

A traceback is plain text without local variables: those of a worker hold secrets and students.
"""

from __future__ import annotations

import logging

import structlog

LIBRARIES_THAT_TELL = ("urllib3", "requests", "requests_oauthlib", "oauthlib")
"""What they log at DEBUG are paths with their queries, signatures and what was signed."""


def configure() -> None:
    """Send structlog's events to the standard library's logging, whose level `-l` sets."""
    for name in LIBRARIES_THAT_TELL:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.ExceptionRenderer(),
            structlog.processors.KeyValueRenderer(key_order=["event"], drop_missing=True),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
