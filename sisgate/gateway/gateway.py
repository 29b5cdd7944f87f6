"""The gateway: the whole of sisgate as an app sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from sisgate.access.policy import Action, Decision, Principal
from sisgate.broker import Publisher, broker_url, celery_app
from sisgate.clock import Clock
from sisgate.domain.choices import chosen
from sisgate.domain.moments import aware
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind
from sisgate.errors import (
    SisgateError,
    UsageError,
)
from sisgate.gateway import forecast
from sisgate.gateway.acceptance import Acceptance, request_id_of, urgency_of
from sisgate.gateway.administration import Administration
from sisgate.gateway.answer import Answer
from sisgate.gateway.availability import on_unavailable_of
from sisgate.gateway.datasets import Datasets
from sisgate.gateway.forecast import Plan
from sisgate.gateway.job import (
    Job,
    JobStatus,
)
from sisgate.gateway.jobs import Jobs
from sisgate.gateway.operation import Operation
from sisgate.gateway.remedies import DeadLetter, Remedies
from sisgate.gateway.requests import Requests, RequestTarget, Wanted, target_of
from sisgate.gateway.schedules import Schedules
from sisgate.gateway.waiting import Wait, wait_of
from sisgate.ledger import jobs
from sisgate.ledger.database import Database
from sisgate.ledger.jobs import NewJob
from sisgate.settings import Settings, load_settings

MODES = ("auto", "full", "incremental")


class Gateway(Jobs, Datasets, Operation, Administration):
    """Enqueues syncs and requests, follows jobs, reads records and changes.

    Make one per process, after a fork, and keep it: it holds connections. Safe to share between
    threads. Every method may raise `DatabaseUnavailable`; then nothing was accepted. `user` is who
    works at this machine, where it is a person and not an app: the audit log names them as reader.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database | None = None,
        publisher: Publisher | None = None,
        clock: Clock | None = None,
        principal: Principal | None = None,
        user: str | None = None,
    ) -> None:
        super().__init__(settings, database=database, clock=clock, principal=principal, user=user)
        publisher = publisher or Publisher(
            celery_app(settings, broker_url(settings)), self.wakeups.signal_work
        )
        self._acceptance = Acceptance(settings, self.database, publisher, self.clock)
        self._requests = Requests(self, self._acceptance)
        self._remedies = Remedies(self, self._acceptance)

    @classmethod
    def from_env(
        cls, config: Path | None = None, *, app: str | None = None, token: str | None = None
    ) -> Self:
        """Return a gateway for the configuration file and environment of this process.

        `app` names the calling app in the ledger (else `SISGATE_APP`, else `default`). `token`
        says who asks (else `SISGATE_TOKEN`); an app with a token has the token's name. Whether it
        is good is found out at the first use, which raises `NotAuthenticated` if not.
        """
        given = {"app_name": app, "token": SecretStr(token) if token else None}
        update = {name: value for name, value in given.items() if value}
        return cls(load_settings(config).model_copy(update=update))

    def sync(
        self,
        provider: str,
        resource: str,
        *,
        priority: str | Priority = "normal",
        mode: str = "auto",
        allow_deletes: bool = False,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        expires_at: datetime | None = None,
        job_id: str | None = None,
        app: str | None = None,
        request_id: str | None = None,
        on_unavailable: str = "wait",
    ) -> Job:
        """Accept a sync of one dataset and return its job at once.

        `mode` is `full`, `incremental`, or `auto`: incremental between full ones where the
        provider can filter by date. `allow_deletes` approves any number of deletions; with it
        `auto` reads in full, and `incremental`, which sees no deletions, is refused. `timeout`
        in seconds, or `expires_at` (aware), is the job's deadline: then it ends as `expired`, also
        while it waits. The same `idempotency_key` of an app returns the first
        job again. Raises `UnknownProvider`, `UnknownResource`, `UsageError`,
        `IdempotencyConflict`, `BacklogFull`, `DatabaseUnavailable`. With the broker down the job is
        accepted all the same and is published once the broker is back.

        `on_unavailable` as with `request`. With `fail` and `stale` a provider that takes no calls
        raises `ProviderHeld`; with `stale` the job of the last sync is returned instead, where
        there was one, and tells the `age_seconds` of the records, which can be read at any time.
        """
        self.provider(provider)
        principal = self.access.pass_through(Action.ENQUEUE, provider, resource)
        self.check_dataset(provider, resource)
        mode = chosen("mode", MODES, mode)
        options: dict[str, Any] = {"mode": mode}
        if allow_deletes:
            if mode == "incremental":
                raise UsageError(
                    "allow_deletes needs a full read: an incremental one does not see what is "
                    "gone. Use mode full, or auto, which then reads in full."
                )
            self.access.pass_through(Action.CONTROL, provider, resource)
            options["allow_deletes"] = True
        expires_at = aware("expires_at", expires_at)
        new = self._acceptance.new_job(
            JobKind.SYNC, provider, priority, idempotency_key, timeout, job_id,
            self._app_of(principal, app),
        )  # fmt: skip
        if on_unavailable_of(on_unavailable) != "wait":
            old = self._last_sync_if_held(replace(new, resource=resource), on_unavailable)
            if old is not None:
                return old
        deadline = min(filter(None, (new.expires_at, expires_at)), default=None)
        return self._accept(
            replace(
                new, resource=resource, options=options, expires_at=deadline,
                request_id=request_id_of(request_id),
            )
        )  # fmt: skip

    def request(
        self,
        provider: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        priority: str | Priority = "urgent",
        timeout: float = 2.0,
        idempotency_key: str | None = None,
        request_id: str | None = None,
        purpose: str | None = None,
        on_unavailable: str = "wait",
    ) -> Answer:
        """Make one call to a provider and return its answer, whatever its status.

        The call takes its turn in the provider's quota. Raises `JobExpired` when no answer came
        within `timeout` seconds, `JobFailed` when none could be had.

        `on_unavailable` is what to do while the provider takes no calls, because every breaker is
        open, or it is paused or blocked: `wait`; `fail`, which raises `ProviderHeld` with the time
        of the next probe; or `stale`, for GET: the last good answer to the same question of the
        same app that is still kept, with its age. Without one, and where the call fails, it raises.
        """
        wanted = self._wanted(
            provider, method, path, query, json, priority, timeout, idempotency_key, request_id,
            on_unavailable,
        )  # fmt: skip
        return self._requests.answered(wanted, timeout, purpose)

    def enqueue_request(
        self,
        provider: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        priority: str | Priority = "urgent",
        timeout: float | None = None,
        idempotency_key: str | None = None,
        request_id: str | None = None,
        on_unavailable: str = "wait",
    ) -> Job:
        """Accept one call to a provider and return its job at once.

        `on_unavailable` as with `request`; with `stale` the job may be an earlier one that has the
        old answer, and then tells its `age_seconds`.
        """
        return self._requests.enqueue(
            self._wanted(
                provider, method, path, query, json, priority, timeout, idempotency_key, request_id,
                on_unavailable,
            )
        )  # fmt: skip

    def job(self, job_id: str) -> Job:
        """Return a handle on a job; `UnknownJob` where there is none."""
        self.job_status(job_id)
        return Job(self, job_id)

    def cancel(self, job_id: str, *, actor: str | None = None) -> JobStatus:
        """Cancel a live job; `InvalidState` when it has ended, `UnknownJob` where there is none.

        `actor` is who does it, for the audit log.
        """
        return self._remedies.cancel(job_id, actor)

    def dead(
        self,
        *,
        provider: str | None = None,
        app: str | None = None,
        error: str | None = None,
        since: datetime | None = None,
        limit: int | None = 50,
    ) -> Sequence[DeadLetter]:
        """Return the dead letters, the oldest first: jobs given up and not tried again since.

        Given up are those whose call the provider failed at each of its tries, and those whose call
        lost its worker 3 times. `error` is a code, `since` an aware time; no `limit` with None.
        """
        return self._remedies.dead(
            provider=provider, app=app, error=error, since=since, limit=limit
        )

    def retry(self, job_id: str, *, actor: str | None = None) -> Job:
        """Enqueue a job that failed, expired or was cancelled once more, as a new job.

        Once only: asked again, it returns the same new job, whose `is_new` is then False. `actor`
        is who does it, for the audit log. `InvalidState` for a job in another state.
        """
        return self._remedies.retry(job_id, actor)

    def resolve(
        self,
        job_id: str,
        resolution: str,
        *,
        reason: str | None = None,
        actor: str | None = None,
    ) -> JobStatus:
        """Say what became of a job whose outcome is unknown: `done`, `failed` or `retry`.

        With `retry` it has failed and is enqueued once more; the status returned is that of the new
        job. The audit log tells who said so. `InvalidState` for a job that is not `unknown`.
        """
        return self._remedies.resolve(job_id, resolution, reason, actor)

    def answer(self, job_id: str, *, purpose: str | None = None) -> Answer:
        """Return the answer of a `request` job; `InvalidState` when there is none (any more).

        The audit log tells who was given it, and the stated `purpose`.
        """
        return self._requests.answer(job_id, purpose)

    def request_target(self, job_id: str) -> RequestTarget | None:
        """Return what a `request` job asks of its provider; None for a sync.

        Method, path and query are sealed in the ledger, because they may name students: path and
        query are shown to those who may read the provider's data.
        """
        return self._requests.target(job_id)

    def plan(self, provider: str, resource: str, *, priority: str | Priority = "normal") -> Plan:
        """Tell what a sync would need, before anything is enqueued: calls, quota left, times."""
        self.check_dataset(provider, resource)
        self.access.pass_through(Action.LOOK, provider, resource)
        return forecast.plan_sync(self, provider, resource, urgency_of(priority))

    def expected(self, job_id: str) -> Plan:
        """Tell when an accepted job begins and ends."""
        self.job_status(job_id)
        return forecast.plan_job(self, job_id)

    @cached_property
    def schedules(self) -> Schedules:
        """The syncs that are asked for by the clock: how they stand, and running one now."""
        return Schedules(self)

    def refuse(
        self, job_id: str, provider: str, resource: str, app: str, error: SisgateError
    ) -> None:
        """Keep a sync that was asked for by name but cannot be accepted, as a failed job.

        For the fleet, which acts for whoever can write to the broker.
        """
        self.access.pass_through(Action.ADMINISTER)
        self._acceptance.refuse(job_id, provider, resource, app, error)

    def waits_for(self, job_id: str) -> Wait | None:
        """Return what a job waits for and until when; None if it has ended or is not kept waiting.

        A Redis that is away, and a worker, planner or beat that is not alive, are told as `down`
        with its `obstacles`.
        """
        return wait_of(self, job_id)

    def _wanted(
        self,
        provider: str,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        json: Any,
        priority: str | Priority,
        timeout: float | None,
        idempotency_key: str | None,
        request_id: str | None,
        on_unavailable: str,
    ) -> Wanted:
        self.provider(provider)
        principal = self.access.pass_through(Action.REQUEST, provider)
        target, instead = target_of(method, path, query, json, on_unavailable)
        new = self._acceptance.new_job(
            JobKind.REQUEST, provider, priority, idempotency_key, timeout, None,
            self._app_of(principal, None),
        )  # fmt: skip
        return Wanted(replace(new, request_id=request_id_of(request_id)), target, instead)

    def _app_of(self, principal: Principal, asked: str | None) -> str | None:
        """Return whose job it is: an app with a token is who its token says."""
        if principal.may_name_apps:
            return asked
        own = self.settings.app_name
        named = asked or (own if own != Settings.model_fields["app_name"].default else None)
        if named not in {None, principal.name}:
            words = f"its token is that of {principal.name}, so it cannot ask as {named}"
            self.access.refuse(principal, Action.ENQUEUE, f"app {named}", Decision(False, words))
        return principal.name

    def _accept(self, new: NewJob) -> Job:
        by = self.access.principal().token_actor or self.user
        job_id, is_new = self._acceptance.accept(new, by=by)
        return Job(self, job_id, is_new=is_new)

    def _last_sync_if_held(self, new: NewJob, on_unavailable: str) -> Job | None:
        """Return the job of the last sync if the provider is held; None if it takes calls."""
        hold = self.hold(new.provider)
        if hold is None:
            return None
        app = None if self.access.principal().sees_all_jobs else new.app
        now = self.clock.now()
        with self.database.read() as session:
            last = jobs.last_sync(session, new.provider, new.resource or "", app)
        if on_unavailable == "stale" and last is not None:
            return Job(self, last[0], age_seconds=max(0.0, (now - last[1]).total_seconds()))
        raise hold.refusal(new.provider, now, synced_at=last[1].isoformat() if last else None)
