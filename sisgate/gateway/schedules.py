"""Schedules: syncs that beat enqueues, once for each occurrence and provider."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sisgate.access.policy import Action
from sisgate.domain.figures import duration
from sisgate.domain.recurrence import Occurrences, offset_in
from sisgate.domain.validation import did_you_mean
from sisgate.errors import SisgateError, UnknownSchedule
from sisgate.gateway.bulk import Bulk
from sisgate.gateway.core import Core
from sisgate.gateway.datasets import Datasets
from sisgate.gateway.job import status_of
from sisgate.gateway.job_handle import Job
from sisgate.gateway.job_status import JobStatus
from sisgate.gateway.orders import NewSync
from sisgate.ledger import job_search
from sisgate.ledger.datasets import with_failed_syncs
from sisgate.settings.fleet import ScheduleConfig

Refused = Callable[[str, str, str, SisgateError], None]
"""Called with the schedule, the provider, the dataset and the error."""

MOST_OF_A_RUN = 2_000
"""Syncs that one run enqueues; the rest is for the next one."""

MOST_KEYS = 500
"""Idempotency keys of one query."""

MOST_SHOWN = 500
"""The newest jobs that are read for a list."""


@dataclass(frozen=True)
class Schedule:
    """A schedule: what it syncs and when, and the newest jobs.

    It is of a `provider`, or of those that the conditions `where` choose. `when` is its recurrence
    as configured, `cron` that of cron, if it has one. `starts` is the next start of each provider:
    an occurrence, later by the provider's offset in the window. `resources` are all that it may
    sync, without those that a provider lacks; `is_whole` if none are configured, so that it syncs
    all there are. `jobs` has the newest job of each dataset.
    """

    name: str
    provider: str | None
    where: Mapping[str, str] | None
    resources: tuple[str, ...]
    is_whole: bool
    when: str
    in_words: str
    cron: str | None
    window_seconds: float
    mode: str
    priority: str
    starts: Mapping[str, datetime]
    jobs: Sequence[JobStatus]

    @property
    def next_at(self) -> datetime | None:
        """The next start of any provider; None if it selects none."""
        return min(self.starts.values(), default=None)

    @property
    def of(self) -> str:
        """Whom it syncs: a provider, or how several are chosen."""
        if self.where is None:
            return str(self.provider)
        return " ".join(f"{name}={value}" for name, value in self.where.items()) or "all"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready."""
        return {
            "name": self.name,
            "provider": self.provider,
            "where": self.where,
            "resources": list(self.resources),
            "is_whole": self.is_whole,
            "when": self.when,
            "in_words": self.in_words,
            "cron": self.cron,
            "window_seconds": self.window_seconds,
            "mode": self.mode,
            "priority": self.priority,
            "next_at": self.next_at,
            "starts": dict(self.starts),
            "jobs": [job.as_dict() for job in self.jobs],
        }


@dataclass(frozen=True)
class _Due:
    """A sync that is due, by its idempotency key; one that is run by hand is not due at a time."""

    key: str
    provider: str
    resource: str
    at: datetime | None = None

    @property
    def place(self) -> job_search.Place:
        return self.provider, self.resource


class Schedules:
    """The configured schedules: their status, runs by hand, and due runs."""

    def __init__(self, core: Core, bulk: Bulk, datasets: Datasets) -> None:
        self._core = core
        self._bulk = bulk
        self._datasets = datasets
        self._done: dict[str, frozenset[str]] = {}
        """The keys of each schedule that are due and enqueued: nobody asks for them again."""

    def list(self) -> Sequence[Schedule]:
        """Return the schedules that the caller may see, sorted by name."""
        core = self._core
        core.access.require_role(Action.LOOK)
        found = []
        for name, config in sorted(core.configuration.current().schedules.items()):
            providers = [
                each for each in self._providers(config) if core.access.allows(Action.LOOK, each)
            ]
            if providers or config.selector is not None:
                found.append(self._schedule(name, config, providers))
        return found

    def get(self, name: str) -> Schedule:
        """Return one schedule, with those of its providers that the caller may see."""
        self._core.access.require_role(Action.LOOK)
        config = self._config(name)
        every, allows = self._providers(config), self._core.access.allows
        providers = [each for each in every if allows(Action.LOOK, each)]
        if every and not providers:
            self._core.access.require(Action.LOOK, every[0])
        return self._schedule(name, config, providers)

    def run(self, name: str, *, reason: str | None = None) -> Sequence[Job]:
        """Enqueue a schedule's syncs now, due or not; return their jobs.

        If a provider cannot take more jobs, raises its error; the other providers' are accepted.
        The audit log has who ran it, and the `reason`, with each job.
        """
        self._core.access.require_role(Action.CONTROL)
        config = self._config(name)
        for provider in self._providers(config):
            self._core.access.require(Action.CONTROL, provider)
        due = [
            _Due("", provider, resource)
            for provider in self._providers(config)
            for resource in self._offered(config, provider)
        ]
        results = self._enqueue(name, config, due, reason)
        for result in results:
            if isinstance(result, SisgateError):
                raise result
        return [result for result in results if isinstance(result, Job)]

    def run_due(self, refused: Refused = lambda *_: None) -> Sequence[Job]:
        """Enqueue due syncs, some thousands at most; return the new jobs.

        A dataset waits until its last scheduled sync has ended. A sync that is `refused`, for
        instance because too many jobs are waiting, is retried in the next pass.
        """
        jobs: list[Job] = []
        for name, config in self._core.configuration.current().schedules.items():
            due = self._due(name, config)[: MOST_OF_A_RUN - len(jobs)]
            for each, result in zip(due, self._enqueue(name, config, due), strict=True):
                if isinstance(result, SisgateError):
                    refused(name, each.provider, each.resource, result)
                else:
                    jobs.append(result)
                    self._done[name] |= {each.key}
        return jobs

    def _config(self, name: str) -> ScheduleConfig:
        schedules = self._core.configuration.current().schedules
        config = schedules.get(name)
        if config is None:
            known = ", ".join(sorted(schedules)) or "none"
            raise UnknownSchedule(
                f"There is no schedule {name!r}. Configured: {known}."
                f"{did_you_mean(name, schedules)}"
            )
        return config

    def _schedule(self, name: str, config: ScheduleConfig, providers: Sequence[str]) -> Schedule:
        times = Occurrences(config.recurrence, self._core.clock.now(), config.window)
        starts = {
            each: times.next_start(offset_in(config.window, name, each)) for each in providers
        }
        every = [self._resources(config, each) for each in providers]
        resources = tuple(dict.fromkeys(each for one in every for each in one))
        shown = min(MOST_SHOWN, 2 * sum(map(len, every)))
        with self._core.database.read() as session:
            rows = job_search.newest_of(session, name, shown)
        newest = {(row.provider, row.resource): status_of(row, {}) for row in reversed(rows)}
        places = [(who, what) for who, ours in zip(providers, every, strict=True) for what in ours]
        jobs = [newest[place] for place in places if place in newest]
        when, in_words = _recurrence(config)
        return Schedule(
            name=name, provider=config.provider, where=_conditions(config), resources=resources,
            is_whole=not config.resources, when=when, in_words=in_words, cron=config.cron,
            window_seconds=config.window.total_seconds(), mode=config.mode,
            priority=config.priority, starts=starts, jobs=jobs,
        )  # fmt: skip

    def _due(self, name: str, config: ScheduleConfig) -> Sequence[_Due]:
        """Return the due syncs that are neither enqueued nor held up by an earlier one."""
        due = list(self._started(name, config))
        done = self._done.get(name, frozenset()) & {each.key for each in due}
        rest = [each for each in due if each.key not in done]
        taken: set[job_search.Place] = set()
        live: frozenset[job_search.Place] = frozenset()
        suspicious: frozenset[str] = frozenset()
        if rest:
            with self._core.database.read() as session:
                suspicious = with_failed_syncs(session, self._core.clock.now())
                for first in range(0, len(rest), MOST_KEYS):
                    keys = [each.key for each in rest[first : first + MOST_KEYS]]
                    taken |= job_search.taken_by(session, name, keys)
                live = job_search.live_of(session, name)
        offered = {
            provider: set(
                self._offered(config, provider)
                if provider in suspicious
                else self._resources(config, provider)
            )
            for provider in {each.provider for each in rest if each.place not in taken}
        }

        def is_over(each: _Due) -> bool:
            return each.place in taken or each.resource not in offered[each.provider]

        self._done[name] = done | {each.key for each in rest if is_over(each)}
        return [each for each in rest if not is_over(each) and each.place not in live]

    def _started(self, name: str, config: ScheduleConfig) -> Iterator[_Due]:
        """Yield the syncs that have started by their provider's offset, and may be caught up."""
        now = self._core.clock.now()
        times = Occurrences(config.recurrence, now, config.window)
        for provider in self._providers(config):
            offset = offset_in(config.window, name, provider)
            occurrence = times.last(offset)
            if now - (occurrence + offset) > config.catch_up:
                continue
            # A schedule of one provider has the keys that it always had.
            part = f"{provider}/" if config.selector is not None else ""
            for resource in self._resources(config, provider):
                key = f"{occurrence.isoformat()}/{part}{resource}"
                yield _Due(key, provider, resource, occurrence + offset)

    def _providers(self, config: ScheduleConfig) -> Sequence[str]:
        return config.providers_among(self._core.configuration.current().providers)

    def _resources(self, config: ScheduleConfig, provider: str) -> tuple[str, ...]:
        offered = tuple(self._core.provider(provider).dialect_class.resources)
        if not config.resources:
            return offered
        return tuple(each for each in config.resources if each in offered)

    def _offered(self, config: ScheduleConfig, provider: str) -> tuple[str, ...]:
        """Return the configured datasets, else all that the provider offers."""
        if config.resources:
            return self._resources(config, provider)
        absent = {each.resource for each in self._datasets.absent(provider)}
        return tuple(each for each in self._resources(config, provider) if each not in absent)

    def _enqueue(
        self, name: str, config: ScheduleConfig, due: Sequence[_Due], reason: str | None = None
    ) -> Sequence[Job | SisgateError]:
        return self._bulk.enqueue_each(
            [
                NewSync(
                    each.provider, each.resource, priority=config.priority, mode=config.mode,
                    idempotency_key=each.key or None, reason=reason,
                )
                for each in due
            ],
            due_at={place: each.at for place, each in enumerate(due) if each.at is not None},
            schedule=name,
        )  # fmt: skip


def _conditions(config: ScheduleConfig) -> Mapping[str, str] | None:
    selector = config.selector
    return None if selector is None else selector.model_dump(exclude_none=True)


def _recurrence(config: ScheduleConfig) -> tuple[str, str]:
    """Return when a schedule is due, as configured and in words."""
    within = f", within {duration(config.window.total_seconds())}" if config.window else ""
    if config.every is not None:
        every = f"every {duration(config.every.total_seconds())}{within}"
        return every, every
    words = config.recurrence.in_words
    in_words = f"{words[:1].lower()}{words[1:]} in {config.zone}{within}"
    return f"{config.cron} {config.zone}{within}", in_words
