"""What a person does about jobs: cancel, find what failed, try again, say what became of it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from sqlalchemy.orm import Session

from sisgate.access.policy import Action
from sisgate.audit import events
from sisgate.credentials.sealed_requests import open_request, seal_request
from sisgate.domain.choices import chosen
from sisgate.domain.moments import aware
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind, JobState
from sisgate.gateway.job import Job, JobStatus, status_of
from sisgate.ledger import dead_letters, jobs
from sisgate.ledger import schema as tables
from sisgate.ledger.jobs import NewJob
from sisgate.sync.resume import READ_SINCE, RESUMES

if TYPE_CHECKING:
    from sisgate.gateway.acceptance import Acceptance
    from sisgate.gateway.gateway import Gateway

Resolution = Literal["done", "failed", "retry"]


@dataclass(frozen=True)
class DeadLetter:
    """A job that sisgate gave up, with the most tries and lost workers of any of its calls."""

    job: JobStatus
    tries: int
    lost_workers: int

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    def as_dict(self) -> dict[str, Any]:
        """Return the job's status JSON-ready, with both numbers."""
        return {**self.job.as_dict(), "tries": self.tries, "lost_workers": self.lost_workers}


class Remedies:
    """The gateway's hand in jobs: one's own, or any for an operator. All is audited."""

    def __init__(self, gateway: Gateway, acceptance: Acceptance) -> None:
        self._gateway = gateway
        self._acceptance = acceptance

    def dead(
        self,
        *,
        provider: str | None,
        app: str | None,
        error: str | None,
        since: datetime | None,
        limit: int | None,
    ) -> Sequence[DeadLetter]:
        """Return the dead letters that fit and that exist for who asks, the oldest first."""
        principal = self._gateway.access.pass_role(Action.LOOK)
        since = aware("since", since)
        if not principal.sees_all_jobs:
            if app not in {None, principal.name}:
                return []
            app = principal.name
        found = dead_letters.find(
            self._gateway.database,
            provider=provider,
            app=app,
            error=error,
            since=since,
            places=[(scope.provider, scope.resource) for scope in principal.scopes],
            limit=limit,
        )
        return [
            DeadLetter(status_of(dead.job, {}), dead.tries, dead.lost_workers) for dead in found
        ]

    def cancel(self, job_id: str, actor: str | None) -> JobStatus:
        """Cancel a live job and return its status."""
        who, gateway = self._actor(job_id, actor), self._gateway
        with gateway.database.write() as session:
            now = gateway.clock.now()
            job = jobs.cancel(session, job_id, now)
            events.job_changed(session, job, "cancel", now, actor=who)
        gateway.wakeups.announce(job_id)
        return gateway.job_status(job_id)

    def retry(self, job_id: str, actor: str | None) -> Job:
        """Enqueue a job once more as a new one, or return the one that it has become already."""
        who = self._actor(job_id, actor)
        gateway = self._gateway
        with gateway.database.read() as session:
            old = jobs.get(session, job_id)
        if old.retried_as is not None:
            return Job(gateway, old.retried_as)
        gateway.provider(old.provider)
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
            earlier = dead_letters.begin_retry(session, old.id, new.id)
            if earlier is None:
                events.job_changed(session, old, "retry", now, actor=who, new=new.id)
            return earlier

        if new.kind is JobKind.REQUEST and old.state != JobState.UNKNOWN:
            vault = gateway.context.vault
            new = seal_request(vault, new, open_request(vault, old))
        by = gateway.access.principal().token_actor
        new_id, is_new = self._acceptance.accept(new, by=by, first=begin)
        return Job(gateway, new_id, is_new=is_new)

    def resolve(
        self, job_id: str, resolution: str, reason: str | None, actor: str | None
    ) -> JobStatus:
        """Say what became of a job whose outcome is unknown; return the job that counts now."""
        resolution = chosen("resolution", get_args(Resolution), resolution)
        who = self._actor(job_id, actor)
        state = JobState.DONE if resolution == "done" else JobState.FAILED
        with self._gateway.database.write() as session:
            because = f": {reason}" if reason else ""
            note = f"{who} resolved it as {resolution}{because}."
            job = dead_letters.resolve(session, job_id, state, note)
            now = self._gateway.clock.now()
            events.job_changed(
                session, job, "resolve", now, actor=who, reason=reason, resolution=resolution
            )
        counts = self.retry(job_id, actor).id if resolution == "retry" else job_id
        return self._gateway.job_status(counts)

    def _actor(self, job_id: str, named: str | None) -> str:
        """Return who does it, for the audit log: who the token says, or else who is named."""
        status = self._gateway.job_status(job_id)
        principal = self._gateway.access.principal()
        action = Action.ENQUEUE if status.app == principal.name else Action.CONTROL
        self._gateway.access.pass_through(action, status.provider, status.resource)
        return principal.token_actor or named or principal.actor


def _options_of_retry(old: tables.Job) -> dict[str, Any]:
    """Return the options of a job that retries one: of a sync it goes on where that one ended."""
    options = {name: value for name, value in old.options.items() if name != READ_SINCE}
    if old.kind == JobKind.SYNC and old.state == JobState.FAILED:
        options[RESUMES] = old.id
    return options
