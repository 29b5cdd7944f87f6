"""The kinds of tasks, and beat's scheduler: at most one message of a periodic task waits.

Celery's own means go by wall clocks: beat's schedule by that of its host, and `expires`, set by
the sender, by that of the worker. With hosts 2 s apart every message of a task that runs each
second was dropped; with beat's clock set back nothing was sent until it had caught up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from celery import Task
from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import schedule

from sisgate.clock import Clock, SystemClock
from sisgate.errors import BrokerUnavailable, SisgateError
from sisgate.redis.keys import WAITING_TASK
from workers.runtime import RUNTIME

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


WAITING_SECONDS = 5
"""So long no other message is sent; then the one that waits may have been lost."""

FIRST_SECONDS = 60.0
"""What runs more seldom is begun so long after beat: one that is restarted often runs it, too."""


class SteadyScheduler(Scheduler):
    """Sends each task at its interval of the machine's monotonic clock. Keeps no file.

    A task without effect when repeated may run again after a restart, so there is nothing to keep.
    """

    def __init__(self, *args: Any, clock: Clock | None = None, **kwargs: Any) -> None:
        self._clock = clock or SystemClock()
        self._due: dict[str, float] = {}
        super().__init__(*args, **kwargs)

    def tick(self, *_: Any, **__: Any) -> float:
        """Send what is due; return the seconds until the next is."""
        now = self._clock.monotonic()
        for name, entry in list((self.schedule or {}).items()):
            interval = _interval(entry)
            due = self._due.setdefault(name, now + min(interval, FIRST_SECONDS))
            if due <= now:
                # What was missed, asleep say, is not made up for.
                self._due[name] = max(due + interval, now)
                self.apply_entry(self.reserve(entry), producer=self.producer)
        left = min(self._due.values(), default=now + self.max_interval) - self._clock.monotonic()
        return max(0.0, min(left, self.max_interval))


class PeriodicTask(FleetTask):
    """A task of beat's schedule, of which at most one message waits to be taken.

    So a planner that was away has nothing to catch up on. By the clock of Redis alone.
    """

    abstract = True

    def apply_async(  # type: ignore[override]  # the rest is passed on by name
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Send a message unless one waits already; then return None."""
        is_first: Any = True
        # Whether Redis takes the message is seen when it is sent.
        with suppress(BrokerUnavailable):
            client = getattr(self.app, RUNTIME)().redis
            is_first = client.set(self._key(kwargs), b"", nx=True, ex=WAITING_SECONDS)
        return super().apply_async(args, kwargs, **options) if is_first else None

    def before_start(self, task_id: str, args: Any, kwargs: Mapping[str, Any]) -> None:
        """Let the next message be sent: this one has been taken."""
        with suppress(BrokerUnavailable):
            getattr(self.app, RUNTIME)().redis.delete(self._key(kwargs))

    def _key(self, kwargs: Mapping[str, Any] | None) -> str:
        options = "".join(f":{name}={value}" for name, value in sorted((kwargs or {}).items()))
        return WAITING_TASK(task=f"{self.name}{options}")


def _interval(entry: ScheduleEntry) -> float:
    assert isinstance(entry.schedule, schedule), "an interval, no crontab"
    return entry.schedule.run_every.total_seconds()
