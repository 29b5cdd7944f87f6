"""Task base classes, and beat's scheduler: at most one message of a periodic task waits.

Celery's own means depend on wall clocks: beat's schedule on its host's, and `expires`, set by the
sender, on the worker's. With hosts 2 s apart, every message of a task that runs each second was
dropped; after beat's clock was set back, nothing was sent until it had caught up.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from celery import Task
from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import schedule

from sisgate.clock import Clock, SystemClock
from sisgate.errors import BrokerUnavailable, SisgateError
from sisgate.logs import concerning, get_logger
from sisgate.redis.keys import WAITING_TASK
from workers.runtime import runtime_of

log = get_logger()


class FleetTask(Task):
    """A task that logs a `SisgateError` in one line.

    An outage of the database or Redis is not a defect, and a traceback from each task, several a
    second, would hide real ones.
    """

    abstract = True
    throws = (SisgateError,)  # type: ignore[assignment]  # typed as an empty tuple

    def on_failure(self, exc: Exception, task_id: str, *_: Any) -> None:
        """Log the reason, which Celery omits."""
        if isinstance(exc, SisgateError):
            log.warning(
                "task_failed", task=self.name, id=task_id, code=exc.code, reason=exc.message
            )

    def after_return(self, *_: Any) -> None:
        """Forget whom it concerned: no line between this task and the next names it."""
        concerning()


WAITING_SECONDS = 5
"""How long no other message is sent; after that the waiting one may have been lost."""

FIRST_SECONDS = 60.0
"""Longest delay of a task's first run, so that a beat that restarts often runs rare tasks too."""


class SteadyScheduler(Scheduler):
    """Sends each task at its interval by the machine's monotonic clock. Keeps no file.

    All tasks are idempotent and may run again after a restart, so there is nothing to keep.
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
                # Missed runs, after a suspend for example, are not made up for.
                self._due[name] = max(due + interval, now)
                self.apply_entry(self.reserve(entry), producer=self.producer)
        left = min(self._due.values(), default=now + self.max_interval) - self._clock.monotonic()
        return max(0.0, min(left, self.max_interval))


class PeriodicTask(FleetTask):
    """A task of beat's schedule, with at most one message waiting, by the clock of Redis alone.

    So a planner that was away has nothing to catch up on.
    """

    abstract = True

    def apply_async(  # type: ignore[override]  # the rest is passed on by name
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Send a message; if one is waiting already, return None."""
        is_first: Any = True
        # If Redis is down, sending the message will raise.
        with suppress(BrokerUnavailable):
            client = runtime_of(self.app).redis
            is_first = client.set(self._key(kwargs), b"", nx=True, ex=WAITING_SECONDS)
        return super().apply_async(args, kwargs, **options) if is_first else None

    def before_start(self, task_id: str, args: Any, kwargs: Mapping[str, Any]) -> None:
        """Allow the next message: this one has been consumed."""
        with suppress(BrokerUnavailable):
            runtime_of(self.app).redis.delete(self._key(kwargs))

    def _key(self, kwargs: Mapping[str, Any] | None) -> str:
        options = "".join(f":{name}={value}" for name, value in sorted((kwargs or {}).items()))
        return WAITING_TASK(task=f"{self.name}{options}")


def _interval(entry: ScheduleEntry) -> float:
    assert isinstance(entry.schedule, schedule), "an interval, not a crontab"
    return entry.schedule.run_every.total_seconds()
