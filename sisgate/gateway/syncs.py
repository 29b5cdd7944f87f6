"""One sync of a dataset for an app: checked and accepted, or answered by the last one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, get_args

from sisgate.access.policy import Action
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind
from sisgate.domain.validation import aware, chosen
from sisgate.errors import UsageError
from sisgate.gateway.acceptance import Acceptance, request_id_of
from sisgate.gateway.availability import hold_of, on_unavailable_of
from sisgate.gateway.core import Core
from sisgate.gateway.jobs import Job, Jobs
from sisgate.ledger.datasets import last_sync
from sisgate.ledger.jobs import NewJob

Mode = Literal["auto", "full", "incremental"]
"""How much of a list is read."""


class Syncs:
    """What `Gateway.sync` does, also for schedules."""

    def __init__(self, core: Core, acceptance: Acceptance, jobs: Jobs) -> None:
        self._core = core
        self._acceptance = acceptance
        self._jobs = jobs

    def enqueue(
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
        """Accept a sync and return its job at once; see `Gateway.sync`."""
        self._core.provider(provider)
        principal = self._core.access.require(Action.ENQUEUE, provider, resource)
        self._core.check_dataset(provider, resource)
        mode = chosen("mode", get_args(Mode), mode)
        options: dict[str, Any] = {"mode": mode}
        if allow_deletes:
            if mode == "incremental":
                raise UsageError(
                    "allow_deletes needs a full read: an incremental one does not see what is "
                    "gone. Use mode full, or auto, which then reads in full."
                )
            self._core.access.require(Action.CONTROL, provider, resource)
            options["allow_deletes"] = True
        expires_at = aware("expires_at", expires_at)
        new = self._acceptance.new_job(
            JobKind.SYNC, provider, priority, idempotency_key, timeout, job_id,
            self._core.app_of(principal, app),
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

    def _accept(self, new: NewJob) -> Job:
        job_id, is_new = self._acceptance.accept(new, by=self._core.asker())
        return Job(self._jobs, job_id, is_new=is_new)

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
            return Job(self._jobs, last[0], age_seconds=max(0.0, (now - last[1]).total_seconds()))
        raise hold.refusal(new.provider, now, synced_at=last[1].isoformat() if last else None)
