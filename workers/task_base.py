"""What all tasks of the fleet have in common."""

from __future__ import annotations

from typing import Any

import structlog
from celery import Task

from sisgate.errors import SisgateError

log = structlog.get_logger()


class FleetTask(Task):
    """A task that logs an error of ours in one line.

    That the database or Redis is away is no defect, and a traceback from each task, several a
    second, would hide one.
    """

    abstract = True
    throws = (SisgateError,)  # type: ignore[assignment]  # typed as an empty tuple

    def on_failure(self, exc: Exception, task_id: str, *_: Any) -> None:
        """Log what Celery leaves out."""
        if isinstance(exc, SisgateError):
            log.warning(
                "task_failed", task=self.name, id=task_id, code=exc.code, reason=exc.message
            )
