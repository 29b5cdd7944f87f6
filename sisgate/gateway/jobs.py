"""Jobs: their status, waiting for them, and actions on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING

from sisgate.access.policy import Action
from sisgate.domain.job_filter import JobFilter
from sisgate.domain.states import JobState
from sisgate.domain.validation import aware, chosen
from sisgate.errors import JobExpired, SisgateError, UnknownJob, UsageError
from sisgate.gateway.acceptance import Acceptance
from sisgate.gateway.answer import Answer, RequestTarget
from sisgate.gateway.answers import Answers
from sisgate.gateway.bulk_actions import BulkOutcome, BulkReview, carry_out, review
from sisgate.gateway.core import Core
from sisgate.gateway.deprecated import called
from sisgate.gateway.forecast import plan_job
from sisgate.gateway.held_deletions import HeldDeletions, read_deletions
from sisgate.gateway.job import (
    is_visible,
    only_id,
    own_app,
    places_of,
    read_statuses,
    status_of,
    statuses_of,
    visible_status,
)
from sisgate.gateway.job_actions import JobActions
from sisgate.gateway.job_handle import Job
from sisgate.gateway.job_status import DeadLetter, JobStatus, read_cursor
from sisgate.gateway.liveness import why_waiting
from sisgate.gateway.plan import Plan
from sisgate.gateway.timeline import Timeline, read_timeline
from sisgate.gateway.wait import Wait
from sisgate.gateway.waiting import wait_of, why_unanswered
from sisgate.ledger import job_filter, job_search
from sisgate.ledger.attention import still_held
from sisgate.wakeups import Wake


class Jobs:
    """The jobs that the caller may see: an app's own, or all for an operator."""

    def __init__(self, core: Core, acceptance: Acceptance, answers: Answers) -> None:
        self._core = core
        self._acceptance = acceptance
        self._answers = answers
        self._actions = JobActions(core, acceptance)

    def job(self, job_id: str) -> Job:
        """Return a handle on a job; `UnknownJob` if there is none."""
        self.status(job_id)
        return Job(self, job_id)

    def owner(self) -> str:
        """Return the app whose jobs those are that the caller enqueues without naming an app."""
        principal = self._core.access.require_role(Action.LOOK)
        return principal.name if principal.kind == "token" else self._core.settings.app_name

    def find(self, beginning: str) -> str:
        """Return the id of the one visible job whose id begins with `beginning`.

        Raises `UnknownJob` for no match and `UsageError` for several.
        """
        beginning = beginning.strip()
        if not beginning:
            raise UsageError("Give a job's id, or the beginning of it.")
        principal = self._core.access.require_role(Action.LOOK)
        app, places = own_app(principal), places_of(principal)
        with self._core.database.read() as session:
            for prefix in dict.fromkeys((beginning, beginning.lower())):
                if ids := job_search.ids_beginning(
                    session, prefix, app=app, places=places, limit=3
                ):
                    return only_id(ids, prefix)
        return only_id([], beginning)

    def status(self, job_id: str) -> JobStatus:
        """Return the status of a job; `UnknownJob` if there is none."""
        return visible_status(self._core, job_id)

    def statuses(self, job_ids: Sequence[str]) -> Sequence[JobStatus]:
        """Return the statuses of several jobs from one snapshot, leaving out unknown ids."""
        principal = self._core.access.require_role(Action.LOOK)
        with self._core.database.read() as session:
            statuses = read_statuses(session, job_ids)
        return [status for status in statuses if is_visible(principal, status)]

    def list(
        self,
        *,
        states: str | Iterable[str] = (),
        provider: str | None = None,
        resource: str | None = None,
        app: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Sequence[JobStatus]:
        """Return the newest jobs, newest first. Their `calls` are empty.

        `states` is one state or several, as `JobState` or by name; none means all. `after` is the
        `cursor` of the last job of the previous page.
        """
        names = [states] if isinstance(states, str) else states
        selected = [JobState(chosen("state", JobState, name)) for name in names]
        if provider is not None:
            self._core.provider(provider)
        principal = self._core.access.require_role(Action.LOOK)
        own = own_app(principal)
        if own is not None and app not in {None, own}:
            return []
        rows = job_search.find(
            self._core.database, states=selected, provider=provider, resource=resource,
            app=own or app, places=places_of(principal),
            after=read_cursor(after) if after is not None else None, limit=limit,
        )  # fmt: skip
        with self._core.database.read() as session:
            return statuses_of(session, rows, {})

    def search(
        self, query: str = "", *, after: str | None = None, limit: int = 50
    ) -> Sequence[JobStatus]:
        """Return the newest jobs that match a query, newest first. Their `calls` are empty.

        The query is as people write it: `state:failed provider:lincoln since:2h`, or the beginning
        of an id (`JobFilter.parse`). `after` as with `list`. Raises `UsageError`.
        """
        principal = self._core.access.require_role(Action.LOOK)
        wanted = JobFilter.parse(query, self._core.clock.now())
        with self._core.database.read() as session:
            rows = job_filter.matching(
                session, wanted, app=own_app(principal), places=places_of(principal),
                after=read_cursor(after) if after is not None else None, limit=limit,
            )  # fmt: skip
            return statuses_of(session, rows, {})

    def of_call(self, call_id: int) -> str:
        """Return the id of the visible job that a call is of; `UnknownJob` if there is none."""
        with self._core.database.read() as session:
            job_id = job_search.of_call(session, call_id)
        if job_id is None:
            raise UnknownJob(f"There is no call {call_id}.")
        return self.status(job_id).id

    def held(self, *, limit: int = 100) -> Sequence[JobStatus]:
        """Return the held syncs that no later sync of their dataset has settled, newest first."""
        principal = self._core.access.require_role(Action.LOOK)
        with self._core.database.read() as session:
            rows = still_held(session, own_app(principal), places_of(principal), limit)
            return [status_of(row, {}) for row in rows]

    def deletions(self, job_id: str, *, start: str = "", limit: int = 100) -> HeldDeletions:
        """Return what a held sync would delete, from the id `start` on, without records' data.

        Raises `InvalidState` for a job that is not held.
        """
        return read_deletions(self._core, job_id, start, limit)

    def timeline(self, job_id: str) -> Timeline:
        """Return what happened to a job, in order, and whose fault each wait was."""
        return read_timeline(self._core, self.status(job_id))

    def review_bulk(self, action: str, query: str) -> BulkReview:
        """Return what `retry` or `cancel` of all jobs that match a query would be done to.

        Changes nothing: count, a sample, and what is left out. Its `query` is that for `run_bulk`.
        """
        return review(self._core, action, query)

    def run_bulk(
        self,
        action: str,
        query: str,
        *,
        after: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> BulkOutcome:
        """Retry or cancel all jobs that match a query, in rounds of some seconds.

        Each is audited by itself. A job that has moved meanwhile, or that the caller may not touch,
        is a conflict and stops nothing. The outcome's `after` begins the next round.
        """

        def act(status: JobStatus) -> None:
            if action == "retry":
                self._actions.retry(status, actor, reason)
            else:
                self._actions.cancel(status, actor, reason)

        return carry_out(self._core, action, query, after, act)

    def wait(self, job_id: str, timeout: float | None = None) -> JobStatus:
        """Return the status of a job once it has ended.

        Raises `TimeoutError` on timeout, with what the job waits for.
        """
        status = self.ended_within(job_id, timeout)
        if status is None:
            why = why_waiting(self._core.context, self.status(job_id).provider)
            fate = f". {why['message']} The job is kept and waits." if why else "; it continues."
            raise TimeoutError(f"Job {job_id} has not ended within {timeout:g} s{fate}")
        return status

    def ended_within(self, job_id: str, timeout: float | None) -> JobStatus | None:
        """Return the status of a job once it has ended; None on timeout."""
        status: JobStatus | None = None

        def ended() -> bool:
            nonlocal status
            status = self.status(job_id)
            return status.is_final

        return status if self._core.wakeups.wait(job_id, ended, timeout) else None

    def watch(self, job_id: str, wake: Wake) -> AbstractContextManager[None]:
        """Within the block, call `wake` whenever the job may have ended.

        Then, and at the beginning of the block, read its status. For processes with many waiters:
        nothing blocks, and `wake` is called from another thread.
        """
        return self._core.wakeups.watch(job_id, wake)

    def answer(self, job_id: str, *, purpose: str | None = None) -> Answer:
        """Return the response to a `request` job; see `Gateway.answer`."""
        return self._answers.get(job_id, purpose=purpose)

    def request_target(self, job_id: str) -> RequestTarget | None:
        """Return the target of a `request` job; None for a sync.

        It is sealed in the ledger because it may name students: path and query are shown only to
        callers who may read the provider's data.
        """
        return self._answers.target(job_id)

    def expected(self, job_id: str) -> Plan:
        """Forecast when an accepted job begins and ends."""
        self.status(job_id)
        return plan_job(self._core, job_id)

    def waits_for(self, job_id: str) -> Wait | None:
        """Return what a job waits for and until when; None if it has ended or need not wait.

        The reason is `down`, with `obstacles`, while Redis or a process that it needs is down.
        """
        return wait_of(self._core, self.status(job_id))

    def why_unanswered(self, provider: str, error: JobExpired) -> SisgateError:
        """Return the error that explains why a request got no response in time.

        It is an error of the provider or the fleet, else `error`, with the state of the quota.
        """
        self._core.access.require_any(Action.LOOK, provider)
        return why_unanswered(self._core, provider, error)

    def refuse(
        self, job_id: str, provider: str, resource: str, app: str, error: SisgateError
    ) -> None:
        """Store a sync that was sent by task name but cannot be accepted, as a failed job.

        For the fleet, which acts for anyone who can write to the broker.
        """
        self._core.access.require(Action.ADMINISTER)
        self._acceptance.refuse(job_id, provider, resource, app, error)

    def dead(
        self,
        *,
        provider: str | None = None,
        app: str | None = None,
        error: str | None = None,
        since: datetime | None = None,
        limit: int | None = 50,
    ) -> Sequence[DeadLetter]:
        """Return the dead letters, oldest first: jobs given up and not retried since.

        A job is given up when the provider fails each try of a call, or a call loses its worker 3
        times. `error` is a code, `since` an aware time, `limit` None for all.
        """
        principal = self._core.access.require_role(Action.LOOK)
        since = aware("since", since)
        if not principal.sees_all_jobs:
            if app not in {None, principal.name}:
                return []
            app = principal.name
        rows = job_search.find_dead(
            self._core.database, provider=provider, app=app, error=error, since=since,
            places=places_of(principal), limit=limit,
        )  # fmt: skip
        return [DeadLetter(status_of(dead.job, {}), dead.tries, dead.lost_workers) for dead in rows]

    def cancel(
        self, job_id: str, *, actor: str | None = None, reason: str | None = None
    ) -> JobStatus:
        """Cancel a live job; `InvalidState` if it has ended, `UnknownJob` if there is none.

        `actor` is the caller's name for the audit log.
        """
        self._actions.cancel(self.status(job_id), actor, reason)
        return self.status(job_id)

    def withdraw(self, job_id: str, *, actor: str | None = None) -> JobStatus:
        """End a live request whose caller waits no longer, as its timeout would.

        It is `expired`, with what it waited for; `unknown` if it changes something and is under
        way. Raises `InvalidState` for a sync, and if it has ended.
        """
        self._actions.withdraw(self.status(job_id), actor)
        return self.status(job_id)

    def retry(self, job_id: str, *, actor: str | None = None, reason: str | None = None) -> Job:
        """Retry a job that failed, expired or was cancelled, as a new job.

        A second call returns the same new job, with `is_new` False. `actor` is the caller's name
        for the audit log. Raises `InvalidState` for a job in another state.
        """
        new_id, is_new = self._actions.retry(self.status(job_id), actor, reason)
        return Job(self, new_id, is_new=is_new)

    def resolve(
        self, job_id: str, resolution: str, *, reason: str | None = None, actor: str | None = None
    ) -> JobStatus:
        """Settle a job of unknown outcome as `done`, `failed` or `retry`.

        `retry` marks it failed, enqueues it again and returns the status of the new job. The audit
        log records who decided. Raises `InvalidState` for a job that is not `unknown`.
        """
        self._actions.resolve(self.status(job_id), resolution, reason, actor)
        again = resolution == "retry"
        return self.retry(job_id, actor=actor).status() if again else self.status(job_id)

    if not TYPE_CHECKING:  # so that a type checker reports the old calls
        __call__ = called("jobs", "list")
