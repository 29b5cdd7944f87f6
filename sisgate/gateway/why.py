"""Why something stands as it does: the verdict on a provider, a dataset, a job or the fleet."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sisgate.access.policy import Action, covers_some
from sisgate.domain.recurrence import Occurrences, offset_in
from sisgate.domain.states import CallState, JobState
from sisgate.errors import DatabaseUnavailable, ProviderRemoved, UnknownJob, UnknownProvider
from sisgate.gateway.answers import deleted
from sisgate.gateway.core import Core
from sisgate.gateway.datasets import absent_datasets
from sisgate.gateway.feeds import read_consumers
from sisgate.gateway.job import read_status
from sisgate.gateway.job_status import JobStatus
from sisgate.gateway.jobs import Jobs
from sisgate.gateway.liveness import read_liveness
from sisgate.gateway.provider_facts import lost_among
from sisgate.gateway.remedies import for_caller
from sisgate.gateway.row_facts import NameOf, held_sync, met_error
from sisgate.gateway.verdict_facts import read_facts
from sisgate.ledger import answers, audit_log, job_calls, job_search, recent_jobs
from sisgate.ledger.audit_log import AuditFilter
from sisgate.ledger.recent_work import ErrorRow, RunningAttempt
from sisgate.ledger.schema import Dataset, Job
from sisgate.settings import ProviderConfig
from sisgate.settings.fleet import ScheduleConfig
from sisgate.verdict.facts import ByHand, DatasetFacts, JobFacts, MetError
from sisgate.verdict.finding import Verdict
from sisgate.verdict.judgement import (
    judge_dataset,
    judge_fleet,
    judge_job,
    judge_provider,
    judge_removed,
)
from sisgate.verdict.unattended import FeedReader

FLEET = "fleet"
JOB_CANCELLED = "jobs:job:cancel"
"""The action of the audit log."""


class Verdicts:
    """Says how things stand and why. What is down is a finding, not an error."""

    def __init__(self, core: Core, jobs: Jobs) -> None:
        self._core = core
        self._jobs = jobs

    def of(self, subject: str | None = None) -> Verdict:
        """Return the verdict on a provider, a `PROVIDER/DATASET`, a job by the beginning of its id.

        Without a subject it is that on the fleet, with the providers that the caller may see.
        Raises `UnknownProvider`, `UnknownResource`, `UnknownJob`, and `UsageError` for an id that
        several jobs begin with.
        """
        principal = self._core.access.principal()  # before the ledger fails that knows it
        return for_caller(self._of(subject), principal)

    def _of(self, subject: str | None) -> Verdict:
        if subject is None or subject == FLEET:
            return self.fleet()
        provider, slash, resource = subject.partition("/")
        if slash:
            return self.dataset(provider, resource)
        if provider in self._core.configuration.current().providers or not subject:
            return self.provider(provider)
        try:
            return self.job(self._jobs.find(subject))
        except UnknownJob:  # what is no UUID is more likely a provider, perhaps a removed one
            if _may_be_job(subject):
                raise
            return self.provider(provider)

    def fleet(self) -> Verdict:
        """Return the verdict on the fleet, and on the providers that the caller may see."""
        principal = self._core.access.require_role(Action.LOOK)
        every = self._core.configuration.current().providers
        names = [each for each in every if covers_some(principal, each)]
        return judge_fleet(read_facts(self._core, names, self._name_of()))

    def provider(self, name: str) -> Verdict:
        """Return the verdict on a provider, also on one that was removed."""
        try:
            self._core.provider(name)
        except ProviderRemoved as removed:
            return judge_removed(name, removed.as_dict(), self._core.clock.now())
        self._core.access.require_any(Action.LOOK, name)
        fleet = read_facts(self._core, [name], self._name_of())
        return judge_provider(fleet.providers[0], fleet)

    def dataset(self, provider: str, resource: str) -> Verdict:
        """Return the verdict on a dataset of a provider."""
        try:
            self._core.check_dataset(provider, resource)
        except ProviderRemoved as removed:
            return judge_removed(provider, removed.as_dict(), self._core.clock.now())
        self._core.access.require(Action.LOOK, provider, resource)
        config = self._core.provider(provider)
        fleet = read_facts(self._core, [provider], self._name_of())
        facts = DatasetFacts(provider, resource)
        with suppress(DatabaseUnavailable):  # among the obstacles
            facts = self._dataset(config, resource, fleet.at)
        return judge_dataset(facts, fleet.providers[0], fleet)

    def job(self, job_id: str) -> Verdict:
        """Return the verdict on a job that the caller may see; `UnknownJob` otherwise."""
        status = self._jobs.status(job_id)
        with suppress(UnknownProvider):  # among the obstacles, if it is not new
            self._core.provider(status.provider)
        fleet = read_facts(self._core, [status.provider], self._name_of())
        with self._core.database.read() as session:
            job = self._job(session, status, fleet.at)
        return judge_job(job, fleet.providers[0], fleet)

    def _name_of(self) -> NameOf:
        """Return how apps are named for the caller."""
        return self._core.access.require_role(Action.LOOK).name_of

    def _job(self, session: Session, status: JobStatus, now: datetime) -> JobFacts:
        running = [
            RunningAttempt(call, status.provider, started)
            for call, started, _ in job_calls.running(session, status.id)
            if started is not None
        ]
        waiting = [] if status.is_final else job_calls.waiting(session, status.id)
        # Failures that are the provider's fault spend no try, so tries do not tell retries.
        again = [at or now for error, at in waiting if error]
        errors = [error for error, _ in waiting if error]
        name_of = self._name_of()
        return JobFacts(
            id=status.id,
            provider=status.provider,
            resource=status.resource,
            app=name_of(status.app),
            priority=int(status.priority),
            state=status.state,
            age_seconds=((status.ended_at or now) - status.accepted_at).total_seconds(),
            error=status.error,
            note=status.note,
            ended_seconds_ago=(now - status.ended_at).total_seconds() if status.ended_at else None,
            tried=status.calls_made > 0,
            incomplete=status.state is JobState.DONE and status.complete is False,
            cancelled=_canceller(session, status) if status.state is JobState.CANCELLED else None,
            settled_by=(status.settled_by, status.settled_at)
            if status.settled_by and status.settled_at
            else None,
            page=job_calls.last_error(session, status.id)
            if status.state is JobState.DONE and status.resource is None
            else None,
            answer=self._deleted_answer(session, status),
            running=status.calls.get(CallState.RUNNING, 0),
            lost=lost_among(read_liveness(self._core.context, [status.provider]), running, now)
            if running
            else 0,
            retry_in_seconds=max(0.0, (min(again) - now).total_seconds())
            if again and len(again) == len(waiting)
            else None,
            met=_met(status, errors[-1], now) if errors else None,
        )

    def _deleted_answer(self, session: Session, status: JobStatus) -> str | None:
        is_answered = status.state is JobState.DONE and status.resource is None
        if not is_answered or answers.is_stored(session, status.id):
            return None
        return f"deleted: {deleted(self._core)}"

    def _dataset(self, config: ProviderConfig, resource: str, now: datetime) -> DatasetFacts:
        name = config.name
        absent = next(
            (each for each in absent_datasets(self._core, name) if each.resource == resource), None
        )
        schedules = [name for name, _ in self._schedules(config, resource)]
        readers = read_consumers(self._core, name, resource)
        with self._core.database.read() as session:
            dataset = session.get(Dataset, (name, resource))
            last = recent_jobs.last_sync(session, name, resource)
            held = recent_jobs.held_syncs(session, [name], resource)
            synced_at = dataset.synced_at if dataset is not None else None
            return DatasetFacts(
                name,
                resource,
                last=self._last(session, last, now) if last is not None else None,
                age_seconds=(now - synced_at).total_seconds() if synced_at else None,
                held=held_sync(held[0], now) if held else None,
                absent=MetError("provider_refused", "", absent.status, job=absent.job)
                if absent
                else None,
                missed_seconds=self._missed(config, resource, synced_at, now),
                schedules=schedules,
                former_schedule=job_search.schedule_of(last.app)
                if last is not None and not schedules
                else None,
                fresh_seconds=self._fresh_seconds(config, resource),
                next_read_seconds=self._next_read(config, resource, now),
                readers=[
                    FeedReader(e.app, e.behind, (now - e.read_at).total_seconds(), e.is_lost)
                    for e in readers
                ],
            )

    def _last(self, session: Session, job: Job, now: datetime) -> JobFacts:
        return self._job(session, read_status(session, job.id), now)

    def _missed(
        self, config: ProviderConfig, resource: str, synced_at: datetime | None, now: datetime
    ) -> float | None:
        """Return how long ago the first start of a schedule was that no sync has followed."""
        missed = None
        for name, schedule in self._schedules(config, resource):
            offset = offset_in(schedule.window, name, config.name)
            times = Occurrences(schedule.recurrence, synced_at or now, schedule.window)
            due = times.next_start(offset) if synced_at else times.last(offset) + offset
            if due <= now:
                missed = max(missed or 0.0, (now - due).total_seconds())
        return missed

    def _next_read(self, config: ProviderConfig, resource: str, now: datetime) -> float | None:
        """Return when a schedule reads a dataset next; None if none does."""
        starts = [
            Occurrences(schedule.recurrence, now, schedule.window).next_start(
                offset_in(schedule.window, name, config.name)
            )
            for name, schedule in self._schedules(config, resource)
        ]
        return (min(starts) - now).total_seconds() if starts else None

    def _fresh_seconds(self, config: ProviderConfig, resource: str) -> float | None:
        """Return how old a dataset may be at any time; one with a calendar may at some times."""
        objectives = config.objectives or self._core.configuration.current().objectives
        own = objectives.datasets.get(resource)
        bound = (own.freshness if own is not None else None) or objectives.freshness
        if bound is None or objectives.calendar is not None:
            return None
        return bound.total_seconds()

    def _schedules(
        self, config: ProviderConfig, resource: str
    ) -> Iterator[tuple[str, ScheduleConfig]]:
        """Yield the schedules that read a dataset."""
        current = self._core.configuration.current()
        for name, schedule in current.schedules.items():
            if config.name not in schedule.providers_among(current.providers):
                continue
            if not schedule.resources or resource in schedule.resources:
                yield name, schedule


def _canceller(session: Session, status: JobStatus) -> ByHand | None:
    """Return who cancelled a job, by the audit log."""
    if status.ended_at is None:
        return None
    # It has no index by job, but one by time.
    wanted = AuditFilter(
        action=JOB_CANCELLED,
        job=status.id,
        since=status.ended_at - timedelta(seconds=1),
        until=status.ended_at + timedelta(seconds=1),
    )
    event = next(iter(audit_log.tail(session, wanted, limit=1)), None)
    return ByHand(event.actor, event.at, event.reason) if event is not None else None


def _met(status: JobStatus, error: dict[str, object], now: datetime) -> MetError:
    return met_error(ErrorRow(status.provider, status.id, None, error), now)


def _may_be_job(subject: str) -> bool:
    """Return whether a subject looks like the beginning of a job's id, a UUID."""
    return all(each in "0123456789abcdefABCDEF-" for each in subject)
