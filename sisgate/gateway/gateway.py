"""The gateway: the whole of sisgate as an app sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from json import dumps
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr
from sqlalchemy.orm import Session

from sisgate.access.gate import Gate
from sisgate.access.policy import Action, Decision, Principal
from sisgate.admission.limiter import Limiter
from sisgate.admission.provider_limits import limits_of
from sisgate.broker import Publisher, broker_url, celery_app, redis_client
from sisgate.clock import Clock, SystemClock
from sisgate.credentials.sealed_requests import open_request, seal_request
from sisgate.domain.paths import usable_path
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind, JobState
from sisgate.errors import (
    InvalidState,
    SisgateError,
    UnknownProvider,
    UnknownResource,
    UsageError,
)
from sisgate.gateway import forecast
from sisgate.gateway.acceptance import Acceptance, request_id_of, urgency_of
from sisgate.gateway.administration import Administration
from sisgate.gateway.answer import Answer
from sisgate.gateway.breakers import ProviderBreakers
from sisgate.gateway.control import ProviderControl
from sisgate.gateway.disclosure import Disclosures
from sisgate.gateway.forecast import Plan
from sisgate.gateway.job import (
    Job,
    JobStatus,
    is_visible,
    raise_unless_successful,
    read_status,
    read_statuses,
    status_of,
    visible,
)
from sisgate.gateway.keys import ProviderKeys
from sisgate.gateway.ledger import with_audit_log
from sisgate.gateway.master_keys import MasterKeys
from sisgate.gateway.remedies import DeadLetter, Remedies
from sisgate.ledger import calls, jobs, responses
from sisgate.ledger import schema as tables
from sisgate.ledger.database import Database
from sisgate.ledger.jobs import NewJob
from sisgate.ledger.records import (
    StoredChange,
    StoredRecord,
    newest_change,
    stream_changes,
    stream_records,
)
from sisgate.settings import ProviderConfig, Settings, load_settings
from sisgate.wakeups import Wakeups

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
MODES = ("auto", "full", "incremental")


class Gateway(Administration):
    """Enqueues syncs and requests, follows jobs, reads records and changes.

    Make one per process, after a fork, and keep it: it holds connections. Safe to share between
    threads. Every method may raise `DatabaseUnavailable`; then nothing was accepted.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database | None = None,
        publisher: Publisher | None = None,
        clock: Clock | None = None,
        principal: Principal | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        url = broker_url(settings)
        database = database or Database(settings.sqlalchemy_url)
        self.database = with_audit_log(database, settings, self.clock)
        self.access = Gate(
            self.database,
            self.clock,
            required=settings.access == "tokens",
            token=settings.token,
            principal=principal,
        )
        self._redis = redis_client(url)
        self.wakeups = Wakeups(self._redis, self.clock)
        self.limiter = Limiter(self._redis, clock=self.clock)
        publisher = publisher or Publisher(celery_app(settings, url), self.wakeups.signal_work)
        self._acceptance = Acceptance(settings, self.database, publisher, self.clock)
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

    def close(self) -> None:
        """Close all connections."""
        self.database.dispose()
        self._redis.close()

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
    ) -> Job:
        """Accept a sync of one dataset and return its job at once.

        `mode` is `full`, `incremental`, or `auto`: incremental between full ones where the
        provider can filter by date. `allow_deletes` approves any number of deletions. `timeout`
        in seconds, or `expires_at` (aware), is the job's deadline: then it ends as `expired`, also
        while it waits. The same `idempotency_key` of an app returns the first
        job again. Raises `UnknownProvider`, `UnknownResource`, `UsageError`,
        `IdempotencyConflict`, `BacklogFull`, `DatabaseUnavailable`. With the broker down the job is
        accepted all the same and is published once the broker is back.
        """
        config = self.provider(provider)
        principal = self.access.pass_through(Action.ENQUEUE, provider, resource)
        if resource not in config.dialect_class.resources:
            raise UnknownResource(
                f"{provider} ({config.kind}) has no resource {resource!r}; it has "
                f"{', '.join(config.dialect_class.resources)}.",
                provider=provider,
            )
        if mode not in MODES:
            raise UsageError(f"mode is one of {', '.join(MODES)}, not {mode!r}.")
        options: dict[str, Any] = {"mode": mode}
        if allow_deletes:
            self.access.pass_through(Action.CONTROL, provider, resource)
            options["allow_deletes"] = True
        if expires_at is not None and expires_at.tzinfo is None:
            raise UsageError("expires_at is an aware time, with its zone.")
        new = self._acceptance.new_job(
            JobKind.SYNC, provider, priority, idempotency_key, timeout, job_id,
            self._app_of(principal, app),
        )  # fmt: skip
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
    ) -> Answer:
        """Make one call to a provider and return its answer, whatever its status.

        The call takes its turn in the provider's quota. Raises `JobExpired` when no answer came
        within `timeout` seconds, `JobFailed` when none could be had.
        """
        job = self.enqueue_request(
            provider,
            method,
            path,
            query=query,
            json=json,
            priority=priority,
            timeout=timeout,
            idempotency_key=idempotency_key,
            request_id=request_id,
        )
        try:
            status = self.wait_for(job.id, timeout)
        except TimeoutError:
            ended = self._give_up(job)
            if ended is None:
                raise
            status = ended
        return self._answer_or_raise(status, purpose)

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
    ) -> Job:
        """Accept one call to a provider and return its job at once."""
        self.provider(provider)
        principal = self.access.pass_through(Action.REQUEST, provider)
        method = method.upper()
        if method not in METHODS:
            raise UsageError(f"method is one of {', '.join(METHODS)}, not {method!r}.")
        words = {str(name): str(value) for name, value in (query or {}).items()}
        target = {"method": method, "path": usable_path(path), "query": words, "json": json}
        _refuse_unless_json(target)
        new = self._acceptance.new_job(
            JobKind.REQUEST, provider, priority, idempotency_key, timeout, None,
            self._app_of(principal, None),
        )  # fmt: skip
        new = replace(new, request_id=request_id_of(request_id))
        return self._accept_request(new, target)

    def job(self, job_id: str) -> Job:
        """Return a handle on a job; `UnknownJob` where there is none."""
        self.job_status(job_id)
        return Job(self, job_id)

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
        states: Sequence[JobState] = (),
        provider: str | None = None,
        limit: int = 50,
    ) -> list[JobStatus]:
        """Return the newest jobs, newest first. Their `calls` are not counted."""
        principal = self.access.pass_role(Action.LOOK)
        found = jobs.find(
            self.database,
            states=states,
            provider=provider,
            app=None if principal.sees_all_jobs else principal.name,
            places=[(scope.provider, scope.resource) for scope in principal.scopes],
            limit=limit,
        )
        return [status_of(job, {}) for job in found]

    def wait_for(self, job_id: str, timeout: float | None = None) -> JobStatus:
        """Return the status of a job once it has ended; `TimeoutError` when time is over first."""
        status: list[JobStatus] = []

        def ended() -> bool:
            status[:] = [self.job_status(job_id)]
            return status[0].is_final

        if not self.wakeups.wait(job_id, ended, timeout):
            raise TimeoutError(f"Job {job_id} has not ended within {timeout:g} s; it goes on.")
        return status[0]

    def cancel(self, job_id: str) -> JobStatus:
        """Cancel a live job; `InvalidState` when it has ended, `UnknownJob` where there is none."""
        self._may_change(job_id)
        with self.database.write() as session:
            jobs.cancel(session, job_id, self.clock.now())
        self.wakeups.announce(job_id)
        return self.job_status(job_id)

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
        self.access.pass_through(Action.READ, self.job_status(job_id).provider)
        with self.database.read() as session:
            stored = responses.get(session, job_id)
        if stored is None:
            raise InvalidState(
                f"No answer of job {job_id} is kept. Answers of requests are kept for "
                f"{self.settings.response_retention}.",
                job=job_id,
            )
        body = self._vault.open(stored.sealed_body, f"responses/{job_id}")
        self._disclosures.answer(job_id, purpose, len(body))
        return Answer(job_id, stored.status, stored.headers, body, stored.truncated)

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

        The audit log tells who was given them, how many, and for what stated `purpose`.
        """
        self._dataset(provider, resource)
        self.access.pass_through(Action.READ, provider, resource)
        found = stream_records(self.database, provider, resource, include_deleted=include_deleted)
        return self._disclosures.stream(
            found, provider, resource, what="records", purpose=purpose, request_id=request_id
        )

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
        Reading raises `CursorTooOld` where changes above the cursor were deleted after their time.
        The audit log tells who was given them, how many, and for what stated `purpose`.
        """
        self._dataset(provider, resource)
        self.access.pass_through(Action.READ, provider, resource)
        found = stream_changes(self.database, provider, resource, since=since)
        return self._disclosures.stream(
            found, provider, resource, what="changes", purpose=purpose, request_id=request_id
        )

    def cursor(self, provider: str, resource: str) -> int:
        """Return the number of the newest change, 0 before the first.

        Taken before a dataset is read anew, it is where to go on with its changes.
        """
        self._dataset(provider, resource)
        self.access.pass_through(Action.READ, provider, resource)
        with self.database.read() as session:
            return newest_change(session, provider, resource)

    def provider(self, name: str) -> ProviderConfig:
        """Return the configuration of a provider; `UnknownProvider` where there is none."""
        config = self.settings.providers.get(name)
        if config is None:
            known = ", ".join(sorted(self.settings.providers)) or "none"
            raise UnknownProvider(
                f"No provider {name!r} is configured in "
                f"{self.settings.config_file or 'sisgate.toml'}. Configured: {known}.",
                provider=name,
            )
        return config

    def plan(self, provider: str, resource: str, *, priority: str | Priority = "normal") -> Plan:
        """Tell what a sync would need, before anything is enqueued: calls, quota left, times."""
        self._dataset(provider, resource)
        self.access.pass_through(Action.LOOK, provider, resource)
        return forecast.plan_sync(self, provider, resource, urgency_of(priority))

    def expected(self, job_id: str) -> Plan:
        """Tell when an accepted job begins and ends."""
        self.job_status(job_id)
        return forecast.plan_job(self, job_id)

    def control(self, name: str) -> ProviderControl:
        """Return what can be changed about a provider at run time: limits and pauses."""
        config = self.provider(name)
        spec = limits_of(config, config.lease)
        return ProviderControl(self, config, spec)

    def breakers(self, name: str) -> ProviderBreakers:
        """Return a provider's circuit breakers: how they stand, and fixing them by hand."""
        return ProviderBreakers(self, self.provider(name), self._redis)

    @cached_property
    def _disclosures(self) -> Disclosures:
        return Disclosures(self)

    def keys(self, name: str) -> ProviderKeys:
        """Return the keys of a provider: add, stage, rotate, promote, roll back, revoke, usage."""
        return ProviderKeys(self, self.provider(name), self._redis)

    def master_keys(self) -> MasterKeys:
        """Return the master keys: what each has sealed, and moving it all to the newest."""
        return MasterKeys(self.settings, self.database, self._redis, self.clock, self.access)

    def refuse(
        self, job_id: str, provider: str, resource: str, app: str, error: SisgateError
    ) -> None:
        """Keep a sync that was asked for by name but cannot be accepted, as a failed job."""
        self._acceptance.refuse(job_id, provider, resource, app, error)

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

    def _may_change(self, job_id: str) -> None:
        """Ask whether a job may be cancelled or repeated: one's own, or any by an operator."""
        status = self.job_status(job_id)
        owns = status.app == self.access.principal().name
        action = Action.ENQUEUE if owns else Action.CONTROL
        self.access.pass_through(action, status.provider, status.resource)

    def _accept(self, new: NewJob) -> Job:
        job_id, is_new = self._acceptance.accept(new)
        return Job(self, job_id, is_new=is_new)

    def _accept_request(self, new: NewJob, target: Mapping[str, Any]) -> Job:
        vault = self._vault

        def asks_the_same(earlier: tables.Job) -> bool:
            same = (earlier.kind, earlier.provider, earlier.priority)
            if same != (new.kind.value, new.provider, int(new.priority)):
                return False
            try:
                return open_request(vault, earlier) == target
            except InvalidState:
                return False

        job_id, is_new = self._acceptance.accept(seal_request(vault, new, target), asks_the_same)
        return Job(self, job_id, is_new=is_new)

    def _dataset(self, provider: str, resource: str) -> None:
        if resource not in self.provider(provider).dialect_class.resources:
            raise UnknownResource(f"{provider} has no resource {resource!r}.", provider=provider)

    def _give_up(self, job: Job) -> JobStatus | None:
        """End a request whose time is over; None if it is an earlier one, which is not ours."""
        with self.database.write() as session:
            row = jobs.lock(session, job.id)
            if row is not None and not JobState(row.state).is_final:
                if not job.is_new:
                    return None
                error = _no_answer(session, row)
                jobs.end_unanswered(session, row, self.clock.now(), error)
        return self.job_status(job.id)

    def _answer_or_raise(self, status: JobStatus, purpose: str | None) -> Answer:
        try:
            return self.answer(status.id, purpose=purpose)
        except InvalidState:
            raise_unless_successful(status)
            raise


def _no_answer(session: Session, job: tables.Job) -> dict[str, Any]:
    is_under_way = calls.is_running(session, job.id)
    fate = (
        "The call is under way; its answer is dropped."
        if is_under_way
        else "The call was not made and has been withdrawn."
    )
    return {
        "code": "job_expired",
        "message": f"{job.provider} gave no answer in time. {fate} Ask with a longer timeout, or "
        "look at `sisgate providers` for what holds it up.",
    }


def _refuse_unless_json(target: Mapping[str, Any]) -> None:
    try:
        text = dumps(target, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"The request cannot be written as JSON: {error}.") from None
    if "\\u0000" in text:
        raise UsageError("The request holds a NUL character, which cannot be stored.")
