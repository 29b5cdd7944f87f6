"""The gateway: the interface of sisgate for apps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sisgate.gateway.orders import NewRequest, NewSync
from sisgate.gateway.parts import Parts
from sisgate.start_up import gc_paused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sisgate.access.policy import Principal
    from sisgate.clock import Clock
    from sisgate.context import Context
    from sisgate.domain.priorities import Priority
    from sisgate.domain.stored_records import StoredChange, StoredRecord
    from sisgate.domain.targets import Query
    from sisgate.gateway.answer import Answer
    from sisgate.gateway.job_handle import Job
    from sisgate.gateway.many_syncs import SyncResult
    from sisgate.gateway.plan import Plan
    from sisgate.ledger.database import Database
    from sisgate.settings import Settings
    from sisgate.verdict.finding import Verdict


class Gateway(Parts):
    """Enqueues syncs and requests, follows jobs, reads records and changes.

    The most common calls are here; the rest is in parts: `jobs`, `datasets`, `schedules`,
    `configuration`, `providers`, `keys`, `tokens`, `sessions`, `audit`, `privacy`, `quarantine`,
    `fleet`, `sla`, `ledger`, `requests`, `transforms`, `webhooks` and `diagnosis`. Create one per
    process, after forking, and keep it: it holds connections. Methods block and are thread-safe.
    Every method may raise `DatabaseUnavailable`; then nothing was accepted. `user` names the person
    at this machine, if it is not an app, in the audit log.
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
        with gc_paused():
            from sisgate.context import Context

            self._share(Context(settings, clock=clock, database=database), principal, user)

    @classmethod
    def from_env(
        cls, config: Path | None = None, *, app: str | None = None, token: str | None = None
    ) -> Self:
        """Return a gateway for the configuration file and environment of this process.

        `app` names the calling app in the ledger (else `SISGATE_APP`, else `default`). `token`
        authenticates the caller (else `SISGATE_TOKEN`), and an app with a token has its name. The
        first call checks it and raises `NotAuthenticated` if it is not valid.
        """
        with gc_paused():
            from pydantic import SecretStr

            from sisgate.settings import load_settings

        overrides = {"app_name": app, "token": SecretStr(token) if token else None}
        update = {name: value for name, value in overrides.items() if value}
        return cls(load_settings(config).model_copy(update=update))

    @classmethod
    def on(
        cls, context: Context, *, principal: Principal | None = None, user: str | None = None
    ) -> Self:
        """Return a gateway that shares the connections of an existing context."""
        gateway = cls.__new__(cls)
        gateway._share(context, principal, user)
        return gateway

    def acting_as(self, principal: Principal, *, user: str | None = None) -> Self:
        """Return the same gateway for another caller, such as the owner of a token.

        It shares all connections and is cheap: create one for each request that you serve, with the
        result of `tokens.authenticate`, and close only the first gateway.
        """
        other = type(self).__new__(type(self))
        other._share(self.context, principal, user, self._acceptance)
        return other

    def for_token(self, token: str | None) -> Self:
        """Return the same gateway for the bearer of a token, as `acting_as` does.

        Without a token, and where none is required, that is the user of this machine. Raises
        `NotAuthenticated`. A token is looked up once a second.
        """
        from sisgate.access.policy import LOCAL

        if token is None and self.settings.access == "open":
            return self.acting_as(LOCAL)
        return self.acting_as(self.tokens.authenticate(token))

    def for_session(self, secret: str | None) -> Self:
        """Return the same gateway for whose session it is, as `for_token` does.

        Without a session, and where no token is required, that is the user of this machine without
        payload sight. Raises `NotAuthenticated` if the session, or the token that it began with,
        is not valid.
        """
        from sisgate.access.policy import VISITOR
        from sisgate.errors import NotAuthenticated

        if secret is None and self.settings.access == "open":
            return self.acting_as(VISITOR)
        if secret is None:
            raise NotAuthenticated("Log in with a token.")
        return self.acting_as(self.sessions.principal(secret))

    def close(self) -> None:
        """Close all connections, including those of gateways for other callers."""
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
        reason: str | None = None,
    ) -> Job:
        """Accept a sync of one dataset and return its job at once.

        `mode` is `full`, `incremental`, or `auto`: incremental between full reads if the
        provider can filter by date. `allow_deletes` approves any number of deletions; `auto` then
        reads in full, and `incremental`, which sees no deletions, is refused. `timeout` in seconds,
        or `expires_at` (aware), is the deadline after which the job ends as `expired`, even if it
        is still waiting. The same `idempotency_key` of an app returns the same job. `reason` is
        why, for the audit log, which also has who asked. Raises `UnknownProvider`,
        `UnknownResource`, `UsageError`, `IdempotencyConflict`, `BacklogFull`,
        `DatabaseUnavailable`. If the broker is down, the job is accepted and published later.

        `on_unavailable` as with `request`. With `fail` and `stale`, a provider that takes no calls
        raises `ProviderHeld`; with `stale`, the job of the last sync, if any, is returned instead,
        with the `age_seconds` of its records.
        """
        new = NewSync(
            provider, resource, priority=priority, mode=mode, allow_deletes=allow_deletes,
            idempotency_key=idempotency_key, timeout=timeout, expires_at=expires_at,
            job_id=job_id, app=app, request_id=request_id, on_unavailable=on_unavailable,
            reason=reason,
        )  # fmt: skip
        return self._syncs.enqueue(new)

    def request(
        self,
        provider: str,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        priority: str | Priority = "urgent",
        timeout: float = 2.0,
        idempotency_key: str | None = None,
        request_id: str | None = None,
        purpose: str | None = None,
        on_unavailable: str = "wait",
        max_age: float | None = None,
        transform: str | None = None,
    ) -> Answer:
        """Make one call to a provider and return its response, whatever the status.

        The call waits for its turn in the provider's quota. Raises `JobExpired` if no response
        arrives within `timeout` seconds, and `JobFailed` if the call fails.

        `query` is a mapping, or pairs if a name occurs several times. `json` is sent as JSON;
        `body` instead as it is, with a `content-type` among the `headers`. Credentials and headers
        of the connection are sisgate's own; a header that names them is a `UsageError`.

        `on_unavailable` applies while the provider takes no calls, because every breaker is open,
        or it is paused or blocked: `wait`; `fail`, which raises `ProviderHeld` with the time of the
        next probe; or `stale`, for GET, which returns the last stored good response to the same
        request of the same app, with its age, or raises if there is none.

        With `max_age`, in seconds, a GET may share the call of an identical one in flight, and take
        a stored good response that is no older. They may be another app's where the caller sees
        other apps' jobs. None makes a call of its own.

        `transform` names one of the provider's configured transforms; without it, the first applies
        that is for the path and need not be named. Raises `TransformFailed`.
        """
        new = NewRequest(
            provider, method, path, query=query, json=json, body=body, headers=headers,
            priority=priority, timeout=timeout, idempotency_key=idempotency_key,
            request_id=request_id, on_unavailable=on_unavailable,
            max_age=max_age, transform=transform,
        )  # fmt: skip
        return self.requests.answered(self.requests.wanted(new), timeout, purpose)

    def enqueue_request(
        self,
        provider: str,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        priority: str | Priority = "urgent",
        timeout: float | None = None,
        idempotency_key: str | None = None,
        job_id: str | None = None,
        request_id: str | None = None,
        on_unavailable: str = "wait",
        max_age: float | None = None,
        transform: str | None = None,
    ) -> Job:
        """Accept one call to a provider and return its job at once.

        `job_id` lets the app choose the id, so that it can watch the job before it is accepted.
        `on_unavailable` and `max_age` as with `request`; the job may then be an earlier one, with
        the `age_seconds` of its response if that is stored.
        """
        new = NewRequest(
            provider, method, path, query=query, json=json, body=body, headers=headers,
            priority=priority, timeout=timeout, idempotency_key=idempotency_key,
            job_id=job_id, request_id=request_id, on_unavailable=on_unavailable,
            max_age=max_age, transform=transform,
        )  # fmt: skip
        return self.requests.enqueue(self.requests.wanted(new))

    def enqueue(self, items: Sequence[NewSync | NewRequest]) -> list[Job]:
        """Accept up to 10,000 syncs and requests at once, and return their jobs in order.

        Accepts all or none: an invalid item raises its usual error, with its `index` in the
        error's `detail`. One transaction and one round trip to Redis make this far cheaper than
        single calls. A repeated `idempotency_key` returns the first job; `Job.is_new` tells.
        """
        return self._bulk.enqueue(items)

    def sync_many(
        self,
        where: Mapping[str, str],
        resources: Sequence[str] = (),
        *,
        priority: str | Priority = "normal",
        mode: str = "auto",
        allow_deletes: bool = False,
        timeout: float | None = None,
        idempotency_key: str | None = None,
        app: str | None = None,
        reason: str | None = None,
        with_absent: bool = False,
        progress: Callable[[int, int], None] = lambda *_: None,
    ) -> list[SyncResult]:
        """Accept syncs of many providers, and return what became of each dataset.

        `where` chooses providers by `pool`, `kind` and `name` (a pattern such as `lincoln-*`); an
        empty one chooses all. Without `resources`, each provider's whole roster; else those of them
        that a provider has. A dataset that is refused (`SyncResult.error`) keeps no other one from
        being accepted. Accepted in transactions of some hundreds; `progress` hears of each with the
        number done and the total. With an `idempotency_key` it can be repeated after an outage.
        Raises `UsageError`, `UnknownProvider` and `UnknownResource` if nothing is chosen, and
        `AccessDenied` if the caller may sync none of it.
        """
        return self._many_syncs.enqueue(
            where, resources, progress, with_absent=with_absent, idempotency_key=idempotency_key,
            priority=priority, mode=mode, allow_deletes=allow_deletes, timeout=timeout, app=app,
            reason=reason,
        )  # fmt: skip

    def job(self, job_id: str) -> Job:
        """Return a handle on a job; `UnknownJob` if there is none."""
        return self.jobs.job(job_id)

    def answer(self, job_id: str, *, purpose: str | None = None) -> Answer:
        """Return the response to a `request` job; `InvalidState` if none is stored.

        The audit log records the reader and the stated `purpose`.
        """
        return self.jobs.answer(job_id, purpose=purpose)

    def plan(self, provider: str, resource: str, *, priority: str | Priority = "normal") -> Plan:
        """Forecast a sync without enqueuing it: calls, quota left, times."""
        return self.datasets.plan(provider, resource, priority)

    def why(self, subject: str | None = None) -> Verdict:
        """Return how a provider, a `PROVIDER/DATASET` or a job stands, and who is at fault.

        A job is named by its id or the beginning of it; without a subject it is the fleet. What is
        down is a finding, not an error. Raises `UnknownProvider`, `UnknownResource`, `UnknownJob`.
        """
        return self._verdicts.of(subject)

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

        The audit log records the reader, the number of records and the stated `purpose`;
        `audit.disclosures` finds the readers of a person's records.
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

        The number of the last change is the next cursor. Numbers become visible in order. Raises
        `CursorTooOld` if changes above the cursor are gone and `CursorAhead` if the feed ends below
        it; in both cases, read the dataset again (`datasets.cursor`). The audit log records the
        reader, the number of changes and the stated `purpose`.
        """
        return self.datasets.changes(
            provider, resource, since=since, purpose=purpose, request_id=request_id
        )

    if not TYPE_CHECKING:  # so that a type checker reports the old names

        def __getattr__(self, name: str) -> Any:
            """Return what an older name refers to, with a `DeprecationWarning`."""
            from sisgate.gateway.deprecated import moved

            return moved(self, name)
