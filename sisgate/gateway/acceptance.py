"""Accepting work: a row in the ledger first, a message to the broker second."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sisgate.audit import events
from sisgate.audit.configuration import note_configuration
from sisgate.clock import Clock
from sisgate.context import Context
from sisgate.domain.priorities import PRIORITIES, Priority
from sisgate.domain.states import JobKind, JobState
from sisgate.domain.validation import chosen
from sisgate.errors import (
    BacklogFull,
    BrokerUnavailable,
    DatabaseUnavailable,
    SisgateError,
    UsageError,
)
from sisgate.ledger import jobs
from sisgate.ledger.jobs import NewJob
from sisgate.ledger.schema import Job

LONGEST_SECONDS = 10**9
"""The longest timeout, some thirty years: beyond, a deadline may have no date."""

COUNTED_FOR_SECONDS = 1.0
"""How long a count of a provider's jobs is gone by."""


class Acceptance:
    """Turns what apps ask for into jobs. What it has returned is never lost."""

    def __init__(self, context: Context) -> None:
        self._settings = context.settings
        self._database = context.database
        self._publisher = context.publisher
        self._clock = context.clock
        self._backlogs = Backlogs(context.clock)
        self._has_noted_configuration = False

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
        """Return a job with its id and deadline; `UsageError` if something is wrong with it."""
        if timeout is not None and not 0 < timeout <= LONGEST_SECONDS:
            raise UsageError(
                f"A timeout is a positive number of seconds, at most {LONGEST_SECONDS:,}, not "
                f"{timeout:g}."
            )
        if idempotency_key is not None and not 0 < len(idempotency_key) <= 255:
            raise UsageError("an idempotency key has 1 to 255 characters.")
        now = self._clock.now()
        return NewJob(
            id=job_id or str(uuid.uuid4()),
            kind=kind,
            app=app or self._settings.app_name,
            provider=provider,
            priority=urgency_of(priority),
            idempotency_key=idempotency_key,
            expires_at=now + timedelta(seconds=timeout) if timeout is not None else None,
        )

    def accept(
        self,
        new: NewJob,
        asks_the_same: Callable[[Job], bool] | None = None,
        *,
        by: str | None = None,
        first: Callable[[Session, datetime], str | None] | None = None,
    ) -> tuple[str, bool]:
        """Accept a job and return its id with True, or that of its earlier one with False.

        `first` is done first in the same transaction; where it returns the id of a job, nothing is
        accepted but that one is returned. `by` is who asks, for the audit log.
        Raises `IdempotencyConflict`, `BacklogFull` and `DatabaseUnavailable`; then nothing was
        accepted. A broker that is down does not keep a job from being accepted.
        """
        now = self._clock.now()
        with self._database.write() as session:
            if first is not None and (earlier := first(session, now)) is not None:
                return earlier, False
            accepted = jobs.accept_to_publish(session, new, now, asks_the_same)
            if accepted.is_new:
                self._refuse_beyond_backlog(session, new.provider)
                events.job_accepted(session, new, now, by=by)
                self._note_configuration(session, now)
        if accepted.is_new:
            self._publish(new, accepted.call_id)
        return accepted.job_id, accepted.is_new

    def refuse(
        self, job_id: str, provider: str, resource: str, app: str, error: SisgateError
    ) -> None:
        """Keep a sync that was asked for by name but cannot be accepted, as a failed job.

        A Celery app has only the job's id to ask with, so the reason must be found there.
        """
        new = NewJob(job_id, JobKind.SYNC, app[:100], provider[:63], Priority.NORMAL, resource[:40])
        now = self._clock.now()
        with self._database.write() as session:
            job, is_new = jobs.accept(session, new, now, published_at=now)
            if is_new:
                kept = jobs.get(session, job.id)
                jobs.end(session, kept, JobState.FAILED, now, error=error.as_dict())
                events.job_refused(session, kept, now, code=error.code)

    def _note_configuration(self, session: Session, now: datetime) -> None:
        # With the first job of this process: making a gateway opens no connection.
        if not self._has_noted_configuration:
            role = events.actor_of(self._settings.app_name)
            note_configuration(session, self._settings, role, now)
            self._has_noted_configuration = True

    def _refuse_beyond_backlog(self, session: Session, provider: str) -> None:
        config = self._settings.providers[provider]
        most = config.max_waiting_jobs
        if self._backlogs.has_room(session, provider, most):
            return
        pace = min((rate.per_second for rate in config.windows), default=1.0)
        raise BacklogFull(
            f"{most} jobs of {provider} wait already, so this one was not accepted. Try again "
            "later, cancel what is no longer wanted, or raise max_waiting_jobs.",
            seconds=max(1.0, 1 / pace),
            provider=provider,
        )

    def _publish(self, new: NewJob, call_id: int | None) -> None:
        try:
            if call_id is not None:
                self._publisher.call(call_id, new.provider, int(new.priority))
            else:
                self._publisher.plan(new.id, int(new.priority))
        except BrokerUnavailable:
            # Accepted all the same: the reconciler publishes what was not, once Redis is back.
            # A database that is away as well changes nothing: the job is in it, and is found
            # overdue a little later.
            with suppress(DatabaseUnavailable), self._database.write() as session:
                jobs.mark_published(session, [new.id], None)


class Backlogs:
    """How many more jobs of each provider may be accepted before they are counted again.

    Counting goes through all jobs that wait, so it is not done for each that comes. A tenth of the
    room that was there is used for a second at most: near the limit every job is counted, and far
    from it all processes of a fleet together cannot go beyond by much.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def has_room(self, session: Session, provider: str, most: int) -> bool:
        """Return whether a job that has just been inserted is not one too many."""
        now = self._clock.monotonic()
        with self._lock:
            left, until = self._left.get(provider, (0, now))
            if left > 0 and now < until:
                self._left[provider] = left - 1, until
                return True
        room = most - jobs.live_count(session, provider, most + 1)
        with self._lock:
            self._left[provider] = room // 10, now + COUNTED_FOR_SECONDS
        return room >= 0


def urgency_of(priority: str | Priority) -> Priority:
    """Return the priority of a word; `UsageError` names those there are."""
    if isinstance(priority, str):
        priority = chosen("priority", PRIORITIES, priority.lower())
    try:
        return Priority.parse(priority)
    except ValueError as error:
        raise UsageError(str(error)) from None


def request_id_of(text: str | None) -> str | None:
    """Return an app's own id of what it asks for; `UsageError` if it cannot be kept."""
    if text is not None and not (0 < len(text) <= 100 and text.isprintable()):
        raise UsageError("a request id has 1 to 100 printable characters.")
    return text
