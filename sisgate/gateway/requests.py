"""One call to a provider for an app: accepting it, and waiting for its response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from sisgate.access.policy import Action, Principal
from sisgate.credentials.sealed import open_request, seal_request
from sisgate.credentials.vault import Vault
from sisgate.domain.choices import OnUnavailable
from sisgate.domain.states import JobKind, JobState
from sisgate.errors import (
    BrokerUnavailable,
    DatabaseUnavailable,
    InvalidState,
    JobCancelled,
    JobExpired,
    JobFailed,
)
from sisgate.gateway.acceptance import Acceptance, Order, request_id_of
from sisgate.gateway.answer import Answer
from sisgate.gateway.availability import hold_of
from sisgate.gateway.core import Core
from sisgate.gateway.job_handle import Job
from sisgate.gateway.job_status import answer_if_ended
from sisgate.gateway.jobs import Jobs
from sisgate.gateway.orders import NewRequest
from sisgate.gateway.request_target import target_of, transformed
from sisgate.gateway.sharing import Sharing, checked_max_age
from sisgate.gateway.withdrawal import withdraw
from sisgate.ledger import call_statements
from sisgate.ledger import schema as tables
from sisgate.ledger.acceptance import NewJob
from sisgate.wakeups import Waiter


@dataclass(frozen=True)
class Wanted:
    """A checked request; `target` is as `sisgate.domain.targets` describes it.

    `sharer` is the caller if the answer to an identical request will do, None for a call of its
    own; a stored one may be `max_age` seconds old.
    """

    new: NewJob
    target: Mapping[str, Any]
    on_unavailable: OnUnavailable
    sharer: Principal | None = None
    max_age: float = 0.0

    def alone(self, now: datetime, seconds: float) -> Wanted:
        """Return the same request as a job of its own, with so much time."""
        expires_at = now + timedelta(seconds=seconds)
        new = replace(self.new, id=str(uuid4()), expires_at=expires_at, shared_as=None)
        return replace(self, new=new, sharer=None)


class PendingRequest:
    """An accepted request whose caller waits for the answer: first for the end of its `job`."""

    def __init__(self, requests: Requests, job: Job, wanted: Wanted) -> None:
        self._requests = requests
        self._wanted = wanted
        self.job = job

    @property
    def is_shared(self) -> bool:
        """Whether the call of an identical request answers it."""
        return self.job.origin == "shared"

    def answer(self, *, has_ended: bool, purpose: str | None = None) -> Answer:
        """Return the answer to a job that `has_ended`, or whose time is up.

        Raises why there is none; a call whose time is up is withdrawn. `TimeoutError`: the job goes
        on, because an earlier call created it. After `JobExpired` or `JobCancelled` of a shared
        one, its caller gave up; go on `alone`.
        """
        return self._requests.concluded(self.job, self._wanted, purpose, has_ended=has_ended)

    def alone(self, seconds: float) -> PendingRequest:
        """Accept the same request as a call of its own, with so much time."""
        return self._requests.begin_alone(self._wanted, seconds)


class Requests:
    """One call to a provider: accepting it, and its answer for a caller who waits.

    `Gateway.request` waits in its thread; a server that waits otherwise calls `begin`.
    """

    def __init__(self, core: Core, acceptance: Acceptance, jobs: Jobs) -> None:
        self._core = core
        self._acceptance = acceptance
        self._jobs = jobs
        self._sharing = Sharing(core)

    def wanted(self, request: NewRequest) -> Wanted:
        """Check a request and that the caller may make it."""
        provider = request.provider
        config = self._core.provider(provider)
        principal = self._core.access.require(Action.REQUEST, provider)
        target, instead = target_of(request)
        target = transformed(config, request, target)
        new = self._acceptance.new_job(
            JobKind.REQUEST, provider, request.priority, request.idempotency_key, request.timeout,
            request.job_id, self._core.app_of(principal, None),
        )  # fmt: skip
        new = replace(new, request_id=request_id_of(request.request_id))
        bounds = self._acceptance.bounds_of(new.app)
        bounds.check_on_unavailable(instead)
        if request.max_age is None:
            return Wanted(new, target, instead)
        checked_max_age(request.max_age, target["method"], request.idempotency_key)
        new = replace(new, shared_as=self._sharing.mark(principal, new, target))
        max_age = bounds.max_age_of(request.max_age)
        return Wanted(new, target, instead, principal, max_age)

    def enqueue(self, wanted: Wanted) -> Job:
        """Accept a request and return its job, or an earlier one that answers it.

        Raises `ProviderHeld` if the provider takes no calls and the caller does not wait.
        """
        fresh = self._fresh(wanted)
        if fresh is not None:
            return fresh
        if wanted.on_unavailable != "wait":
            old = self._instead_of_waiting(wanted)
            if old is not None:
                return old
        order = self.order(wanted)
        job_id, is_new = self._acceptance.accept(
            order.new, order.asks_the_same, by=self._core.asker()
        )
        is_shared = not is_new and order.new.shared_as is not None
        return Job(self._jobs, job_id, is_new=is_new, origin="shared" if is_shared else "call")

    def order(self, wanted: Wanted) -> Order:
        """Return a sealed request, ready to accept."""
        vault, new = self._vault, wanted.new

        def asks_the_same(earlier: tables.Job) -> bool:
            same = (earlier.kind, earlier.provider, earlier.priority)
            if same != (new.kind.value, new.provider, int(new.priority)):
                return False
            try:
                return open_request(vault, earlier) == wanted.target
            except InvalidState:
                return False

        return Order(seal_request(vault, new, wanted.target), asks_the_same)

    def begin(self, request: NewRequest) -> PendingRequest:
        """Accept a request whose caller waits for its answer; errors as `Gateway.request`."""
        wanted = self.wanted(request)
        return PendingRequest(self, self.enqueue(wanted), wanted)

    def begin_alone(self, wanted: Wanted, seconds: float) -> PendingRequest:
        """Accept a request as a job of its own, with so much time."""
        alone = wanted.alone(self._core.clock.now(), seconds)
        return PendingRequest(self, self.enqueue(alone), alone)

    def answered(self, wanted: Wanted, timeout: float, purpose: str | None) -> Answer:
        """Accept a request and wait for its response; see `Gateway.request`."""
        self._acceptance.bounds_of(wanted.new.app).check_purpose(purpose)
        begun = self._core.clock.monotonic()
        with self._core.wakeups.waiter(wanted.new.id) as waiter:
            job = self.enqueue(wanted)
            try:
                has_ended = job.origin == "stored" or self._has_ended_within(job, timeout, waiter)
            except DatabaseUnavailable as error:
                error.detail.setdefault("job", job.id)  # it goes on
                raise
        try:
            return self.concluded(job, wanted, purpose, has_ended=has_ended)
        except (JobExpired, JobCancelled):
            left = timeout - (self._core.clock.monotonic() - begun)
            if job.origin != "shared" or left <= 0:
                raise
        # Whoever made the call waits no longer; this caller does.
        return self.answered(wanted.alone(self._core.clock.now(), left), left, purpose)

    def concluded(
        self, job: Job, wanted: Wanted, purpose: str | None, *, has_ended: bool
    ) -> Answer:
        """Return the answer to a job that has ended, or whose time is up."""
        try:
            return self._concluded(job, wanted, purpose, has_ended=has_ended)
        except DatabaseUnavailable as error:
            error.detail.setdefault("job", job.id)  # it goes on
            raise

    def _concluded(
        self, job: Job, wanted: Wanted, purpose: str | None, *, has_ended: bool
    ) -> Answer:
        if job.origin == "stored":
            return job.answer(purpose=purpose)
        has_ended = has_ended or self._give_up(job, wanted.new.provider)
        if not has_ended and job.origin == "shared":
            provider, message = wanted.new.provider, "gave no answer in time. Its call continues."
            raise JobExpired(f"{provider} {message}", job=job.id, provider=provider)
        if not has_ended:
            raise TimeoutError(f"Job {job.id} has not ended in time; it continues.")
        try:
            answer = answer_if_ended(self._jobs, job.id, purpose)
            assert answer is not None
            return replace(answer, origin=job.origin)
        except (JobExpired, JobFailed) as error:
            old = self._last_good(wanted) if wanted.on_unavailable == "stale" else None
            if old is None or isinstance(error, JobCancelled):
                raise
            return old.answer(purpose=purpose)

    def _has_ended_within(self, job: Job, timeout: float, waiter: Waiter) -> bool:
        """Wait for a job; `waiter` is for the one that was to be accepted."""
        # Nothing else of the caller's own job matters yet, and its status is several queries.
        ended = partial(self._has_ended, job.id)
        if job.is_new:
            return waiter.wait(ended, timeout, is_new=True)
        return self._core.wakeups.wait(job.id, ended, timeout)

    @property
    def _vault(self) -> Vault:
        return self._core.context.vault

    def _instead_of_waiting(self, wanted: Wanted) -> Job | None:
        """Return the job with an old response if the provider is held; None if it takes calls."""
        core, name = self._core, wanted.new.provider
        is_stale_wanted = wanted.on_unavailable == "stale"
        try:
            hold = hold_of(core.context, core.provider(name))
        except BrokerUnavailable:
            old = self._last_good(wanted) if is_stale_wanted else None
            if old is None:
                raise
            return old
        if hold is None:
            return None
        if is_stale_wanted and (old := self._last_good(wanted)) is not None:
            return old
        hint = " No old response to the same request is stored." if is_stale_wanted else ""
        raise hold.refusal(name, core.clock.now(), hint)

    def _last_good(self, wanted: Wanted) -> Job | None:
        """Return the job with the newest good response to the same request of the same app."""
        old = self._sharing.last_good(wanted.new, wanted.target)
        if old is None:
            return None
        age = old.age_seconds
        return Job(self._jobs, old.job_id, age_seconds=age, is_stale=True, origin="stored")

    def _fresh(self, wanted: Wanted) -> Job | None:
        """Return the job with a stored response that is new enough, if that is wanted."""
        if wanted.sharer is None or not wanted.max_age:
            return None
        found = self._sharing.fresh(wanted.sharer, wanted.new, wanted.target, wanted.max_age)
        if found is None:
            return None
        return Job(self._jobs, found.job_id, age_seconds=found.age_seconds, origin="stored")

    def _give_up(self, job: Job, provider: str) -> bool:
        """End a request past its timeout, unless an earlier call created it; return if it ended."""
        if job.is_new:
            withdraw(self._core, job.id, provider)
            return True
        return self._has_ended(job.id)

    def _has_ended(self, job_id: str) -> bool:
        with self._core.database.read() as session:
            state = call_statements.state_of(session, job_id)
        return state is None or JobState(state).is_final
