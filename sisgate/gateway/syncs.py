"""One sync of a dataset for an app: accepting it, or returning the last one."""

from dataclasses import replace
from typing import Any, get_args

from sisgate.access.policy import Action
from sisgate.domain.choices import Mode
from sisgate.domain.states import JobKind
from sisgate.domain.validation import aware, chosen
from sisgate.errors import UsageError
from sisgate.gateway.acceptance import Acceptance, request_id_of
from sisgate.gateway.availability import hold_of, on_unavailable_of
from sisgate.gateway.core import Core
from sisgate.gateway.job_handle import Job
from sisgate.gateway.jobs import Jobs
from sisgate.gateway.orders import NewSync
from sisgate.ledger.acceptance import NewJob
from sisgate.ledger.datasets import last_sync
from sisgate.ledger.job_search import app_of


class Syncs:
    """Implements `Gateway.sync`, also for schedules."""

    def __init__(self, core: Core, acceptance: Acceptance, jobs: Jobs) -> None:
        self._core = core
        self._acceptance = acceptance
        self._jobs = jobs

    def enqueue(self, wanted: NewSync) -> Job:
        """Accept a sync and return its job at once; see `Gateway.sync`."""
        new = self.new_job(wanted)
        if on_unavailable_of(wanted.on_unavailable) != "wait":
            old = self._last_sync_if_held(new, wanted.on_unavailable)
            if old is not None:
                return old
        job_id, is_new = self._acceptance.accept(new, by=self._core.asker())
        return Job(self._jobs, job_id, is_new=is_new)

    def new_job(self, wanted: NewSync, schedule: str | None = None) -> NewJob:
        """Check a sync and that the caller may enqueue it; return its job.

        It is the job of a `schedule` if that is given, whoever runs it.
        """
        provider, resource = wanted.provider, wanted.resource
        self._core.provider(provider)
        principal = self._core.access.require(Action.ENQUEUE, provider, resource)
        self._core.check_dataset(provider, resource)
        mode = chosen("mode", get_args(Mode), wanted.mode)
        options: dict[str, Any] = {"mode": mode}
        if wanted.allow_deletes:
            if mode == "incremental":
                raise UsageError(
                    "allow_deletes needs a full read: an incremental one does not see deletions. "
                    "Use mode full, or auto, which then reads in full."
                )
            self._core.access.require(Action.CONTROL, provider, resource)
            options["allow_deletes"] = True
        expires_at = aware("expires_at", wanted.expires_at)
        named = self._core.app_of(principal, wanted.app) if schedule is None else app_of(schedule)
        new = self._acceptance.new_job(
            JobKind.SYNC, provider, wanted.priority, wanted.idempotency_key, wanted.timeout,
            wanted.job_id, named,
        )  # fmt: skip
        bounds = self._acceptance.bounds_of(new.app)
        bounds.check_on_unavailable(on_unavailable_of(wanted.on_unavailable))
        deadline = min(filter(None, (new.expires_at, expires_at)), default=None)
        return replace(
            new, resource=resource, options=options, expires_at=deadline,
            request_id=request_id_of(wanted.request_id), reason=wanted.reason,
        )  # fmt: skip

    def _last_sync_if_held(self, new: NewJob, on_unavailable: str) -> Job | None:
        """Return the job of the last sync if the provider is held; None if it takes calls."""
        hold = hold_of(self._core.context, self._core.provider(new.provider))
        if hold is None:
            return None
        app = None if self._core.access.principal().sees_all_jobs else new.app
        now = self._core.clock.now()
        with self._core.database.read() as session:
            last = last_sync(session, new.provider, new.resource or "", app)
        if on_unavailable == "stale" and last is not None:
            age = max(0.0, (now - last[1]).total_seconds())
            return Job(self._jobs, last[0], age_seconds=age, is_stale=True)
        raise hold.refusal(new.provider, now, synced_at=last[1].isoformat() if last else None)
