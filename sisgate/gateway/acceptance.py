"""Accepting work: first a row in the ledger, then a message to the broker."""

import re
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sisgate.audit import events
from sisgate.audit.configuration import note_configuration
from sisgate.clock import Clock
from sisgate.configuration import FleetConfiguration
from sisgate.context import Context
from sisgate.domain.priorities import PRIORITIES, Priority
from sisgate.domain.states import JobKind, JobState
from sisgate.domain.validation import LONGEST_SECONDS, chosen, usable_job_id
from sisgate.errors import (
    BacklogFull,
    BrokerUnavailable,
    DatabaseUnavailable,
    IdempotencyConflict,
    SisgateError,
    UnknownProvider,
    UsageError,
)
from sisgate.ledger import jobs
from sisgate.ledger.acceptance import Accepted, NewJob, accept, accept_many, accept_to_publish
from sisgate.ledger.schema import Job
from sisgate.ledger.timings import Untold
from sisgate.settings.app import AppConfig

COUNTED_FOR_SECONDS = 1.0
"""How long a count of a provider's jobs stays valid."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that PostgreSQL cannot store."""


def _is_duration(seconds: object) -> bool:
    return isinstance(seconds, int | float) and 0 < seconds <= LONGEST_SECONDS


@dataclass(frozen=True, slots=True)
class Order:
    """A job to accept. `asks_the_same` compares it to an earlier one, which may be sealed."""

    new: NewJob
    asks_the_same: Callable[[Job], bool] | None = None


class Acceptance:
    """Turns requests of apps into jobs. An accepted job is never lost."""

    def __init__(self, context: Context) -> None:
        self._settings = context.settings
        self._configuration = context.configuration
        self._database = context.database
        self._publisher = context.publisher
        self._clock = context.clock
        self._backlogs = Backlogs(context.clock)
        self._has_noted_configuration = False
        self._untold = Untold()

    def new_job(
        self,
        kind: JobKind,
        provider: str,
        priority: str | Priority,
        idempotency_key: str | None,
        timeout: float | None,
        job_id: str | None,
        app: str | None,
    ) -> NewJob:
        """Return a job with its id and deadline; `UsageError` for invalid arguments."""
        if timeout is not None and not _is_duration(timeout):
            raise UsageError(
                f"A timeout is a positive number of seconds, at most {LONGEST_SECONDS:,}, not "
                f"{timeout!r}."
            )
        if idempotency_key is not None and not (
            0 < len(idempotency_key) <= 255 and not _UNSTORABLE.search(idempotency_key)
        ):
            raise UsageError(
                "An idempotency key has 1 to 255 characters, none of them NUL or half a surrogate "
                "pair."
            )
        app = _printable("the name of an app", app or None, 100) or self._settings.app_name
        bounds = self.bounds_of(app)
        if kind is JobKind.REQUEST:
            timeout = bounds.timeout_of(timeout)
        now = self._clock.now()
        return NewJob(
            id=usable_job_id(job_id) if job_id else str(uuid.uuid4()),
            kind=kind,
            app=app,
            provider=provider,
            priority=bounds.priority_of(urgency_of(priority)),
            idempotency_key=idempotency_key,
            expires_at=now + timedelta(seconds=timeout) if timeout is not None else None,
        )

    def bounds_of(self, app: str) -> AppConfig:
        """Return the configuration of an app, which bounds what it may ask for."""
        return self._configuration.current().app(app)

    def accept(
        self,
        new: NewJob,
        asks_the_same: Callable[[Job], bool] | None = None,
        *,
        by: str | None = None,
        first: Callable[[Session, datetime], str | None] | None = None,
    ) -> tuple[str, bool]:
        """Accept a job and return its id with True, or that of its earlier one with False.

        `first` runs first in the same transaction; if it returns the id of a job, that id is
        returned and nothing accepted. `by` is the caller, for the audit log. Raises
        `IdempotencyConflict`, `BacklogFull` and `DatabaseUnavailable`; then nothing was accepted.
        The broker may be down.
        """
        configuration, now = self._configuration.current(), self._clock.now()
        begun = self._clock.monotonic()
        with self._database.write() as session:
            if first is not None and (earlier := first(session, now)) is not None:
                return earlier, False
            accepted = accept_to_publish(session, new, now, asks_the_same)
            if accepted.is_new:
                self._refuse_beyond_backlog(session, configuration, new.provider)
                former = self._untold.take()
                events.job_accepted(session, new, now, by=by, reason=new.reason, former_ms=former)
                self._note_configuration(session, configuration, now)
        if accepted.is_new:
            self._untold.add(self._clock.monotonic() - begun)
            self._publish([(new, accepted.call_id)])
        return accepted.job_id, accepted.is_new

    def accept_all(
        self, orders: Sequence[Order], *, by: str | None = None
    ) -> list[tuple[str, bool]]:
        """Accept many jobs in one transaction; return for each what `accept` returns.

        On an error, which has the `index` of its item, nothing is accepted. Publishes in one round
        trip.
        """
        configuration, now = self._configuration.current(), self._clock.now()
        pairs = [(order.new, order.asks_the_same) for order in orders]
        accepted: list[Accepted] = []
        new: dict[str, list[int]] = {}
        former, begun = self._untold.take(), self._clock.monotonic()
        with self._database.write() as session:
            try:
                results = accept_many(session, pairs, now)
                for (job, _), result in zip(pairs, results, strict=True):
                    if result.is_new:
                        events.job_accepted(
                            session, job, now, by=by, reason=job.reason, former_ms=former
                        )
                        former = None
                        new.setdefault(job.provider, []).append(len(accepted))
                    accepted.append(result)
            except IdempotencyConflict as error:
                raise at_item(error, len(accepted)) from None
            for provider, places in new.items():
                self._refuse_beyond_backlog(session, configuration, provider, places)
            if new:
                self._note_configuration(session, configuration, now)
        if new:
            self._untold.add(self._clock.monotonic() - begun)
        both = zip(pairs, accepted, strict=True)
        self._publish([(job, result.call_id) for (job, _), result in both if result.is_new])
        return [(result.job_id, result.is_new) for result in accepted]

    def refuse(
        self, job_id: str, provider: str, resource: str, app: str, error: SisgateError
    ) -> None:
        """Store a sync that was sent by task name but cannot be accepted, as a failed job.

        A Celery app has only the job's id, so that it finds the reason there.
        """
        new = NewJob(job_id, JobKind.SYNC, app[:100], provider[:63], Priority.NORMAL, resource[:40])
        now = self._clock.now()
        with self._database.write() as session:
            job, is_new = accept(session, new, now, published_at=now)
            if is_new:
                kept = jobs.get(session, job.id)
                jobs.end(session, kept, JobState.FAILED, now, error=error.as_dict())
                events.job_refused(session, kept, now, code=error.code)

    def _note_configuration(
        self, session: Session, configuration: FleetConfiguration, now: datetime
    ) -> None:
        # With the first job of this process: creating a gateway opens no connection.
        if not self._has_noted_configuration:
            role = events.actor_of(self._settings.app_name)
            note_configuration(session, self._settings, configuration, role, now)
            self._has_noted_configuration = True

    def _refuse_beyond_backlog(
        self,
        session: Session,
        configuration: FleetConfiguration,
        provider: str,
        places: Sequence[int] = (),
    ) -> None:
        """Raise `BacklogFull` if the jobs just inserted exceed the limit.

        `places` are the indexes of bulk items, so that the error names the first one in excess.
        """
        config = configuration.providers.get(provider)
        if config is None:  # removed since the caller looked
            error = UnknownProvider(f"Provider {provider} was just removed.", provider=provider)
            raise at_item(error, places[0]) if places else error
        most = config.max_waiting_jobs
        excess = self._backlogs.excess(session, provider, most, len(places) or 1)
        if excess <= 0:
            return
        pace = min((rate.per_second for rate in config.windows), default=1.0)
        full = BacklogFull(
            f"{most} jobs of {provider} are already waiting, so this one was not accepted. Try "
            "again later, cancel jobs that are no longer needed, or raise max_waiting_jobs.",
            seconds=max(1.0, 1 / pace),
            provider=provider,
        )
        raise at_item(full, places[-excess]) if places else full

    def _publish(self, accepted: Sequence[tuple[NewJob, int | None]]) -> None:
        plans, calls = [], []
        for new, call_id in accepted:
            if call_id is None:
                plans.append((new.id, int(new.priority)))
            else:
                calls.append((call_id, new.provider, int(new.priority)))
        try:
            self._publisher.all(plans, calls)
        except BrokerUnavailable:
            # The jobs are accepted: the reconciler publishes them once Redis is back, a little
            # later if the database is away as well.
            with suppress(DatabaseUnavailable), self._database.write() as session:
                jobs.mark_published(session, [new.id for new, _ in accepted], None)


class Backlogs:
    """How many more jobs of each provider may be accepted before the next count.

    Counting reads all waiting jobs, so it does not happen for each new one. A count allows a
    hundredth of the free room, for a second at most: near the limit every job is counted, and each
    process of a fleet can exceed it by one percent.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def excess(self, session: Session, provider: str, most: int, count: int) -> int:
        """Return how many of the `count` jobs just inserted exceed the limit `most`."""
        now = self._clock.monotonic()
        with self._lock:
            left, until = self._left.get(provider, (0, now))
            if left >= count and now < until:
                self._left[provider] = left - count, until
                return 0
        room = most - jobs.live_count(session, provider, most + count)
        with self._lock:
            self._left[provider] = max(0, room // 100), now + COUNTED_FOR_SECONDS
        return min(count, max(0, -room))


def urgency_of(priority: str | Priority) -> Priority:
    """Return a priority by name; `UsageError` lists the valid names."""
    if isinstance(priority, str):
        priority = chosen("priority", PRIORITIES, priority.lower())
    try:
        return Priority.parse(priority)
    except ValueError as error:
        raise UsageError(str(error)) from None


def request_id_of(text: str | None) -> str | None:
    """Return an app's own request id, checked; `UsageError` if it cannot be stored."""
    return _printable("a request id", text, 100)


def _printable(what: str, text: str | None, most: int) -> str | None:
    if text is not None and not (0 < len(text) <= most and text.isprintable()):
        raise UsageError(f"{what} has 1 to {most} printable characters.")
    return text


def at_item(error: SisgateError, index: int) -> SisgateError:
    """Return an error of one of many items with its `index`, from 0."""
    error.detail["index"] = index
    error.message = f"Item {index}: {error.message}"
    error.args = (error.message,)
    return error


def without_index(error: SisgateError) -> None:
    """Take back what `at_item` has added: the error is shown with its item."""
    index = error.detail.pop("index")
    error.message = error.message.removeprefix(f"Item {index}: ")
    error.args = (error.message,)
