"""Looking at jobs and waiting for their end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sisgate.access.policy import Action
from sisgate.domain.choices import chosen
from sisgate.domain.states import JobState
from sisgate.gateway.core import Core
from sisgate.gateway.job import (
    JobStatus,
    is_visible,
    read_status,
    read_statuses,
    status_of,
    visible,
)
from sisgate.gateway.liveness import why_waiting
from sisgate.ledger import jobs


class Jobs(Core):
    """The part of the gateway that tells how jobs stand. An app sees its own."""

    def job_status(self, job_id: str) -> JobStatus:
        """Return the status of a job; `UnknownJob` where there is none."""
        principal = self.access.pass_role(Action.LOOK)
        with self.database.read() as session:
            status = read_status(session, job_id)
        return visible(principal, status)

    def statuses(self, job_ids: Sequence[str]) -> list[JobStatus]:
        """Return the statuses of several jobs in one look; unknown ids are left out."""
        principal = self.access.pass_role(Action.LOOK)
        with self.database.read() as session:
            found = read_statuses(session, job_ids)
        return [status for status in found if is_visible(principal, status)]

    def jobs(
        self,
        *,
        states: str | Iterable[str] = (),
        provider: str | None = None,
        limit: int = 50,
    ) -> list[JobStatus]:
        """Return the newest jobs, newest first. Their `calls` are not counted.

        `states` is one state or several, as `JobState` or by their words; none are all.
        """
        words = [states] if isinstance(states, str) else states
        wanted = [JobState(chosen("state", JobState, word)) for word in words]
        if provider is not None:
            self.provider(provider)
        principal = self.access.pass_role(Action.LOOK)
        found = jobs.find(
            self.database,
            states=wanted,
            provider=provider,
            app=None if principal.sees_all_jobs else principal.name,
            places=[(scope.provider, scope.resource) for scope in principal.scopes],
            limit=limit,
        )
        return [status_of(job, {}) for job in found]

    def wait_for(self, job_id: str, timeout: float | None = None) -> JobStatus:
        """Return the status of a job once it has ended.

        Raises `TimeoutError` when the time is over first, with what keeps the job from going on.
        """
        status = self.ended_within(job_id, timeout)
        if status is None:
            why = why_waiting(self.context, self.job_status(job_id).provider)
            fate = f". {why['message']} The job is kept and waits." if why else "; it goes on."
            raise TimeoutError(f"Job {job_id} has not ended within {timeout:g} s{fate}")
        return status

    def ended_within(self, job_id: str, timeout: float | None) -> JobStatus | None:
        """Return the status of a job once it has ended, None when the time is over first."""
        status: list[JobStatus] = []

        def ended() -> bool:
            status[:] = [self.job_status(job_id)]
            return status[0].is_final

        return status[0] if self.wakeups.wait(job_id, ended, timeout) else None
