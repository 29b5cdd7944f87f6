"""The gateway: the whole of sisgate as an app sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import SecretStr

from sisgate.access.policy import Action, Principal
from sisgate.access.token_service import TokenService
from sisgate.clock import Clock
from sisgate.context import Context
from sisgate.domain.priorities import Priority
from sisgate.gateway.acceptance import Acceptance, urgency_of
from sisgate.gateway.answer import Answer, Answers
from sisgate.gateway.audit import AuditLog
from sisgate.gateway.bulk import Bulk
from sisgate.gateway.core import Core
from sisgate.gateway.datasets import Datasets
from sisgate.gateway.deprecated import moved
from sisgate.gateway.diagnosis.diagnosis import Diagnosis
from sisgate.gateway.disclosure import Disclosures
from sisgate.gateway.fleet import FleetStatus
from sisgate.gateway.forecast import Plan, plan_sync
from sisgate.gateway.jobs import Job, Jobs
from sisgate.gateway.keys import Keys
from sisgate.gateway.ledger import Ledger
from sisgate.gateway.orders import NewRequest, NewSync
from sisgate.gateway.privacy import Privacy
from sisgate.gateway.providers import Providers
from sisgate.gateway.quarantine import QuarantineService
from sisgate.gateway.requests import Requests
from sisgate.gateway.schedules import Schedules
from sisgate.gateway.syncs import Syncs
from sisgate.ledger.database import Database
from sisgate.ledger.records import StoredChange, StoredRecord
from sisgate.settings import Settings, load_settings


class Gateway:
    """Enqueues syncs and requests, follows jobs, reads records and changes.

    What apps call most is here; the rest is in parts: `jobs`, `datasets`, `schedules`, `providers`,
    `keys`, `tokens`, `audit`, `privacy`, `quarantine`, `fleet`, `ledger` and `diagnosis`.
    Make one per process, after a fork, and keep it: it holds connections. Methods block, and are
    safe to call from threads. Every method may raise `DatabaseUnavailable`; then nothing was
    accepted. `user` is who works at this machine, where it is a person and not an app: the audit
    log names them as reader.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database | None = None,
        clock: Clock | None = None,
        principal: Principal | None = None,
        user: str | None = None,
    ) -> None:
        context = Context(settings, clock=clock, database=database)
        self._compose(Core(context, principal=principal, user=user), Acceptance(context))

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

    @classmethod
    def on(
        cls, context: Context, *, principal: Principal | None = None, user: str | None = None
    ) -> Self:
        """Return a gateway on a context that is there already, and whose connections it shares."""
        made = cls.__new__(cls)
        made._compose(Core(context, principal=principal, user=user), Acceptance(context))
        return made

    def acting_as(self, principal: Principal, *, user: str | None = None) -> Self:
        """Return the same gateway for another caller, for instance one that a token stands for.

        It shares all connections, so it costs next to nothing: make one for each request that is
        served, with what `tokens.authenticate` returns, and close the first gateway only.
        """
        other = type(self).__new__(type(self))
        other._compose(Core(self.context, principal=principal, user=user), self._acceptance)
        return other

    def _compose(self, core: Core, acceptance: Acceptance) -> None:
        """Build the parts. They know the core and those before them, and never the gateway."""
        self._core, self._acceptance = core, acceptance
        self.context, self.settings, self.access = core.context, core.settings, core.access
        disclosures = Disclosures(core)
        self.jobs = Jobs(core, acceptance, Answers(core, disclosures))
        self.datasets = Datasets(core, disclosures)
        self._requests = Requests(core, acceptance, self.jobs)
        self._syncs = Syncs(core, acceptance, self.jobs)
        self._bulk = Bulk(core, acceptance, self.jobs, self._syncs, self._requests)
        self.schedules = Schedules(core, self._syncs, self.datasets)
        self.providers = Providers(core)
        self.keys = Keys(core)
        self.tokens = TokenService(core.database, core.clock, core.access)
        self.audit = AuditLog(core)
        self.privacy = Privacy(core)
        self.quarantine = QuarantineService(core)
        self.fleet = FleetStatus(core)
        self.ledger = Ledger(core)
        self.diagnosis = Diagnosis(core, self._requests)

    def close(self) -> None:
        """Close all connections, also those of gateways that act for others."""
        self.context.close()

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
        wanted = NewSync(
            provider, resource, priority=priority, mode=mode, allow_deletes=allow_deletes,
            idempotency_key=idempotency_key, timeout=timeout, expires_at=expires_at,
            job_id=job_id, app=app, request_id=request_id, on_unavailable=on_unavailable,
        )  # fmt: skip
        return self._syncs.enqueue(wanted)

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
        new = NewRequest(
            provider, method, path, query=query, json=json, priority=priority, timeout=timeout,
            idempotency_key=idempotency_key, request_id=request_id, on_unavailable=on_unavailable,
        )  # fmt: skip
        return self._requests.answered(self._requests.wanted(new), timeout, purpose)

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
        new = NewRequest(
            provider, method, path, query=query, json=json, priority=priority, timeout=timeout,
            idempotency_key=idempotency_key, request_id=request_id, on_unavailable=on_unavailable,
        )  # fmt: skip
        return self._requests.enqueue(self._requests.wanted(new))

    def enqueue(self, items: Sequence[NewSync | NewRequest]) -> list[Job]:
        """Accept up to 10,000 syncs and requests at once, and return their jobs in order.

        All are accepted, or none: what is wrong with one raises as for that one alone, with its
        place as `index` in the error's `detail`. One transaction and one round trip to Redis make
        this far cheaper than one after the other. Of items with an `idempotency_key` that was used
        before the first job is returned, as always; `Job.is_new` tells.
        """
        return self._bulk.enqueue(items)

    def job(self, job_id: str) -> Job:
        """Return a handle on a job; `UnknownJob` where there is none."""
        return self.jobs.job(job_id)

    def answer(self, job_id: str, *, purpose: str | None = None) -> Answer:
        """Return the answer of a `request` job; `InvalidState` when there is none (any more).

        The audit log tells who was given it, and the stated `purpose`.
        """
        return self.jobs.answer(job_id, purpose=purpose)

    def plan(self, provider: str, resource: str, *, priority: str | Priority = "normal") -> Plan:
        """Tell what a sync would need, before anything is enqueued: calls, quota left, times."""
        self._core.check_dataset(provider, resource)
        self.access.require(Action.LOOK, provider, resource)
        return plan_sync(self._core, provider, resource, urgency_of(priority))

    def records(
        self,
        provider: str,
        resource: str,
        *,
        include_deleted: bool = False,
        purpose: str | None = None,
        request_id: str | None = None,
    ) -> Iterator[StoredRecord]:
        """Stream the records of a dataset in order of sourcedId.

        The audit log tells who was given them, how many, and for what stated `purpose`, and
        `audit.disclosures` of which person.
        """
        return self.datasets.records(
            provider, resource,
            include_deleted=include_deleted, purpose=purpose, request_id=request_id,
        )  # fmt: skip

    def changes(
        self,
        provider: str,
        resource: str,
        *,
        since: int = 0,
        purpose: str | None = None,
        request_id: str | None = None,
    ) -> Iterator[StoredChange]:
        """Stream the changes numbered above the cursor `since`, and end at the newest.

        The number of the last one received is the next cursor. Numbers become visible in order.
        Reading raises `CursorTooOld` where changes above the cursor are gone, and `CursorAhead`
        where the feed ends below it; in both cases the dataset is to be read anew (`cursor`).
        The audit log tells who was given them, how many, and for what stated `purpose`.
        """
        return self.datasets.changes(
            provider, resource, since=since, purpose=purpose, request_id=request_id
        )

    if not TYPE_CHECKING:  # so that a type checker finds the old names

        def __getattr__(self, name: str) -> Any:
            """Return what has an older name, for one version, with a `DeprecationWarning`."""
            return moved(self, name)
