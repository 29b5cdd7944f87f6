"""How workers log: static event names with key-value fields, through Celery's own handlers.

A traceback is plain text without local variables: those of a worker hold secrets and students.
"""

from __future__ import annotations

import structlog


def configure() -> None:
    """Send structlog's events to the standard library's logging, whose level `-l` sets."""
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
