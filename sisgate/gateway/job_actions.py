"""Cancelling, retrying and resolving jobs."""

import uuid
from datetime import datetime
from typing import Any, get_args

from sqlalchemy.orm import Session

from sisgate.access.policy import Action
from sisgate.audit import events
from sisgate.credentials.sealed import open_request, seal_request
from sisgate.domain.choices import Resolution
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind, JobState
from sisgate.domain.validation import chosen
from sisgate.errors import InvalidState
from sisgate.gateway.acceptance import Acceptance
from sisgate.gateway.core import Core
from sisgate.gateway.job_status import JobStatus
from sisgate.gateway.withdrawal import withdraw
from sisgate.ledger import jobs
from sisgate.ledger.acceptance import NewJob
from sisgate.ledger.schema import Job
from sisgate.sync.start import READ_SINCE, RESUMES


class JobActions:
    """Actions for operators and the app that owns the job. Each is audited.

    `actor` is the caller's name for the audit log, unless a token identifies them; `reason` is why.
    """

    def __init__(self, core: Core, acceptance: Acceptance) -> None:
        self._core = core
        self._acceptance = acceptance

    def cancel(self, status: JobStatus, actor: str | None, reason: str | None = None) -> None:
        """End a live job; `InvalidState` if it has ended."""
        who, core = self._actor(status, actor), self._core
        with core.database.write() as session:
            now = core.clock.now()
            job = jobs.cancel(session, status.id, now)
            events.job_changed(session, job, "cancel", now, actor=who, reason=reason)
        core.wakeups.announce(status.id)

    def withdraw(self, status: JobStatus, actor: str | None) -> None:
        """End a live request that nobody waits for; `InvalidState` for a sync or if it ended."""
        who, core = self._actor(status, actor), self._core
        if status.kind != JobKind.REQUEST:
            raise InvalidState(f"Job {status.id} is a sync: cancel it.", job=status.id)
        if not withdraw(core, status.id, status.provider, actor=who):
            raise InvalidState(f"Job {status.id} has already ended.", job=status.id)
        core.wakeups.announce(status.id)

    def retry(
        self, status: JobStatus, actor: str | None, reason: str | None = None
    ) -> tuple[str, bool]:
        """Retry a job; return the id of the job that retries it, and whether that is new."""
        who, core = self._actor(status, actor), self._core
        with core.database.read() as session:
            old = jobs.get(session, status.id)
        if old.retried_as is not None:
            return old.retried_as, False
        core.provider(old.provider)
        new = NewJob(
            id=str(uuid.uuid4()),
            kind=JobKind(old.kind),
            app=old.app,
            provider=old.provider,
            resource=old.resource,
            priority=Priority(old.priority),
            options=_options_of_retry(old),
        )

        def begin(session: Session, now: datetime) -> str | None:
            earlier = jobs.begin_retry(session, old.id, new.id)
            if earlier is None:
                events.job_changed(session, old, "retry", now, actor=who, reason=reason, new=new.id)
            return earlier

        if new.kind is JobKind.REQUEST and old.state != JobState.UNKNOWN:
            vault = core.context.vault
            new = seal_request(vault, new, open_request(vault, old))
        by = core.access.principal().token_actor
        return self._acceptance.accept(new, by=by, first=begin)

    def resolve(
        self, status: JobStatus, resolution: str, reason: str | None, actor: str | None
    ) -> None:
        """End a job of unknown outcome as done or, also for `retry`, as failed."""
        resolution = chosen("resolution", get_args(Resolution), resolution)
        who = self._actor(status, actor)
        state = JobState.DONE if resolution == "done" else JobState.FAILED
        with self._core.database.write() as session:
            because = f": {reason}" if reason else ""
            note = f"{who} resolved it as {resolution}{because}."
            job = jobs.resolve(session, status.id, state, note)
            now = self._core.clock.now()
            events.job_changed(
                session, job, "resolve", now, actor=who, reason=reason, resolution=resolution
            )

    def _actor(self, status: JobStatus, named: str | None) -> str:
        """Return the actor for the audit log: the token's owner, else `named`."""
        principal = self._core.access.principal()
        action = Action.ENQUEUE if status.app == principal.name else Action.CONTROL
        self._core.access.require(action, status.provider, status.resource)
        return principal.token_actor or named or principal.actor


def _options_of_retry(old: Job) -> dict[str, Any]:
    """Return the options of a retry: a failed sync resumes where it ended."""
    options = {name: value for name, value in old.options.items() if name != READ_SINCE}
    if old.kind == JobKind.SYNC and old.state == JobState.FAILED:
        options[RESUMES] = old.id
    return options
