"""Schedules: syncs that beat enqueues, once for each occurrence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sisgate.access.policy import Action
from sisgate.domain.validation import did_you_mean
from sisgate.errors import SisgateError, UnknownSchedule
from sisgate.gateway.core import Core
from sisgate.gateway.datasets import Datasets
from sisgate.gateway.job import JobStatus, status_of
from sisgate.gateway.jobs import Job
from sisgate.gateway.orders import NewSync
from sisgate.gateway.syncs import Syncs
from sisgate.ledger import job_search
from sisgate.settings.fleet import ScheduleConfig

Refused = Callable[[str, str, SisgateError], None]
"""Called with the schedule, the dataset and the error."""


@dataclass(frozen=True)
class Schedule:
    """A schedule: what it syncs, its next occurrence, and the newest job of each dataset."""

    name: str
    config: ScheduleConfig
    resources: tuple[str, ...]
    next_at: datetime
    jobs: Sequence[JobStatus]

    @property
    def when(self) -> str:
        """Its recurrence as configured."""
        if self.config.every is not None:
            minutes, seconds = divmod(round(self.config.every.total_seconds()), 60)
            return f"every {minutes} min" + (f" {seconds} s" if seconds else "")
        return f"{self.config.cron} {self.config.zone}"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready."""
        return {
            "name": self.name,
            "provider": self.config.provider,
            "resources": list(self.resources),
            "when": self.when,
            "mode": self.config.mode,
            "priority": self.config.priority,
            "next_at": self.next_at,
            "jobs": [job.as_dict() for job in self.jobs],
        }


class Schedules:
    """The configured schedules: their status, runs by hand, and due runs."""

    def __init__(self, core: Core, syncs: Syncs, datasets: Datasets) -> None:
        self._core = core
        self._syncs = syncs
        self._datasets = datasets

    def list(self) -> Sequence[Schedule]:
        """Return the schedules that the caller may see, sorted by name."""
        core = self._core
        core.access.require_role(Action.LOOK)
        now, schedules = core.clock.now(), []
        for name, config in sorted(core.configuration.current().schedules.items()):
            if not core.access.allows(Action.LOOK, config.provider):
                continue
            resources = self._resources(config)
            with core.database.read() as session:
                rows = job_search.newest_of(session, name, 2 * len(resources))
            newest = {row.resource: status_of(row, {}) for row in reversed(rows)}
            jobs = [newest[each] for each in resources if each in newest]
            next_at = config.recurrence.next(now)
            schedules.append(Schedule(name, config, resources, next_at, jobs))
        return schedules

    def run(self, name: str) -> Sequence[Job]:
        """Enqueue a schedule's syncs now, due or not; return their jobs."""
        schedules = self._core.configuration.current().schedules
        config = schedules.get(name)
        if config is None:
            known = ", ".join(sorted(schedules)) or "none"
            raise UnknownSchedule(
                f"There is no schedule {name!r}. Configured: {known}."
                f"{did_you_mean(name, schedules)}"
            )
        self._core.access.require(Action.CONTROL, config.provider)
        return [self._sync(name, config, each, None) for each in self._offered(config)]

    def run_due(self, refused: Refused = lambda *_: None) -> Sequence[Job]:
        """Enqueue due syncs; return the new jobs.

        A dataset waits until its last scheduled sync has ended. A sync that is `refused`, for
        instance because too many jobs are waiting, is retried in the next pass.
        """
        now, jobs = self._core.clock.now(), []
        for name, config in self._core.configuration.current().schedules.items():
            occurrence = config.recurrence.last(now)
            if now - occurrence > config.catch_up:
                continue
            keys = {each: f"{occurrence.isoformat()}/{each}" for each in self._offered(config)}
            with self._core.database.read() as session:
                enqueued = job_search.taken_by(session, name, keys.values())
            for resource, key in keys.items():
                if resource in enqueued:
                    continue
                try:
                    jobs.append(self._sync(name, config, resource, key))
                except SisgateError as error:
                    refused(name, resource, error)
        return jobs

    def _resources(self, config: ScheduleConfig) -> tuple[str, ...]:
        provider = self._core.provider(config.provider)
        return config.resources or tuple(provider.dialect_class.resources)

    def _offered(self, config: ScheduleConfig) -> tuple[str, ...]:
        """Return the configured datasets, else all that the provider offers."""
        if config.resources:
            return config.resources
        absent = {each.resource for each in self._datasets.absent(config.provider)}
        return tuple(each for each in self._resources(config) if each not in absent)

    def _sync(self, name: str, config: ScheduleConfig, resource: str, key: str | None) -> Job:
        new = NewSync(
            config.provider, resource, priority=config.priority, mode=config.mode,
            idempotency_key=key, app=job_search.app_of(name),
        )  # fmt: skip
        return self._syncs.enqueue(new)
