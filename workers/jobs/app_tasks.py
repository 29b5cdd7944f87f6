"""Tasks that other Celery apps send by name: `send_task("sisgate.sync", kwargs=…)` and the like.

The arguments arrive unchecked, and the sender has only the task's id, which becomes the job's. So
errors are reported by a failed job of that id, and by the result of the task, which an app with the
backend `rpc://` receives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sisgate.access.authorizer import Authorizer
from sisgate.access.policy import Action
from sisgate.domain.states import JobState
from sisgate.domain.validation import usable_job_id
from sisgate.errors import (
    AccessDenied,
    BrokerUnavailable,
    IdempotencyConflict,
    InvalidState,
    SisgateError,
    UnknownJob,
    UsageError,
)
from sisgate.gateway import Gateway, JobStatus
from sisgate.ledger.jobs import unknown
from sisgate.logs import get_logger
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import EARLY_CANCEL

log = get_logger()

Result = dict[str, Any]
"""What a task returns: a JSON-ready object."""

Arguments = TypeVar("Arguments", bound=BaseModel)

ID_LENGTH = 36
TAKES = {
    "allow_deletes": "true or false",
    "timeout": "a number of seconds above 0",
    "app": "a text of 1 to 100 printable characters",
    "job_id": f"the id of a job, a text of at most {ID_LENGTH} characters",
}
"""What an argument is, unless it is any text."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("not printable")
    return text


AppName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]


class SyncArguments(BaseModel):
    """The arguments of `sisgate.sync`. Strict: a number does not pass as a text."""

    model_config = ConfigDict(extra="forbid", strict=True)

    provider: str
    resource: str
    priority: str = "normal"
    mode: str = "auto"
    allow_deletes: bool = False
    idempotency_key: str | None = None
    timeout: Annotated[float, Field(gt=0, le=10**9, allow_inf_nan=False)] | None = None
    app: AppName = "celery"


class JobArguments(BaseModel):
    """The arguments of `sisgate.cancel` and `sisgate.status`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    job_id: Annotated[str, Field(min_length=1, max_length=ID_LENGTH), AfterValidator(_printable)]
    app: AppName = "celery"


@dataclass(frozen=True)
class TaskMessage:
    """The content of a message.

    `refused` names unsupported options that it uses, such as callbacks.
    """

    task: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""

    def named(self, *positional: str) -> dict[str, Any]:
        """Return all arguments by name."""
        return {**dict(zip(positional, self.args, strict=False)), **self.kwargs}

    def read(self, model: type[Arguments], *positional: str) -> Arguments:
        """Return the arguments; `UsageError` for what is wrong with the message."""
        task = self.task
        if self.refused:
            raise UsageError(
                f"{task} takes no {self.refused}: the fleet neither sends follow-up tasks nor "
                "delays a message. Send the task without it, at the time it should run."
            )
        if len(self.args) > len(positional):
            raise UsageError(f"{task} takes {' and '.join(positional)}, the rest by name.")
        try:
            return model.model_validate(self.named(*positional))
        except ValidationError as error:
            items = error.errors(include_input=False, include_url=False, include_context=False)
            errors = [(item["type"], item["loc"]) for item in items[:10]]
            problems = ". ".join(_problems(errors, task, list(model.model_fields)))
            raise UsageError(f"The arguments of {task} are wrong: {problems}.") from None


@dataclass(frozen=True)
class AppTasks:
    """Executes other Celery apps' tasks. `authorizer` is for whoever can write to the broker."""

    gateway: Gateway
    authorizer: Authorizer
    early: EarlyCancels

    def sync(self, message: TaskMessage, job_id: str) -> Result:
        """Accept the sync, or store a failed job that says what is wrong with it.

        Returns the job's id, its state, and the error if there is one. Raises `BacklogFull` and
        `DatabaseUnavailable`; a second delivery returns the job of the first.
        """
        try:
            usable_job_id(job_id)
        except UsageError as error:
            log.warning("sync_refused", code=error.code, reason=error.message)
            return _refusal(error)
        jobs = self.gateway.jobs
        try:
            sync = message.read(SyncArguments, "provider", "resource")
            self.authorizer.require(Action.ENQUEUE, sync.provider, sync.resource)
            if sync.allow_deletes:
                self.authorizer.require(Action.CONTROL, sync.provider, sync.resource)
            job = self.gateway.sync(**sync.model_dump(), job_id=job_id)
        except (UsageError, AccessDenied) as error:
            log.warning("sync_refused", job=job_id, code=error.code, reason=error.message)
            named = {"app": "celery", **message.named("provider", "resource")}
            names = ("provider", "resource", "app")
            provider, resource, app = (_storable(named.get(name, "")) for name in names)
            try:
                jobs.refuse(job_id, provider, resource, app, error)
            except IdempotencyConflict:
                # The id belongs to another job, which must not be reported as failed.
                log.warning("task_id_used_twice", job=job_id)
            return _refusal(error, job=job_id, state=JobState.FAILED.value)
        state = JobState.ACCEPTED if job.is_new else None
        if self.early.has(job.id, sync.app):
            state = None
            with suppress(InvalidState):
                jobs.cancel(job.id, actor=f"celery app {sync.app}")
        return {"job": job.id, "state": (state or job.status().state).value, "error": None}

    def status(self, message: TaskMessage) -> Result:
        """Return the status of a job of the app; no student data."""
        try:
            return self._own_job(message).as_dict()
        except SisgateError as error:
            return _refusal(error)

    def cancel(self, message: TaskMessage) -> Result:
        """Cancel a job of the app and return its status. Raises `DatabaseUnavailable`.

        A cancel of an unknown job is noted, because it may have overtaken its sync.
        """
        try:
            try:
                own = self._own_job(message)
            except UnknownJob:
                arguments = message.read(JobArguments, "job_id")
                self.early.note(arguments.job_id, arguments.app)
                # Checked again: it may have been accepted just before that was noted.
                own = self._own_job(message)
            self.authorizer.require(Action.ENQUEUE, own.provider, own.resource)
            return self.gateway.jobs.cancel(own.id, actor=f"celery app {own.app}").as_dict()
        except (UsageError, AccessDenied, InvalidState) as error:
            log.warning("cancel_refused", code=error.code)
            return _refusal(error)

    def _own_job(self, message: TaskMessage) -> JobStatus:
        """Return the status of the message's job; `UnknownJob` unless it is the app's."""
        arguments = message.read(JobArguments, "job_id")
        job = self.gateway.jobs.status(arguments.job_id)
        may_see = self.authorizer.allows(Action.LOOK, job.provider, job.resource)
        if job.app != arguments.app or not may_see:
            raise unknown(arguments.job_id)
        return job


def _refusal(error: SisgateError, **more: str) -> Result:
    return {"job": None, "state": None, **more, "error": error.as_dict()}


def _problems(
    errors: Sequence[tuple[str, tuple[int | str, ...]]], task: str, known: Sequence[str]
) -> Iterator[str]:
    """Yield what pydantic reports, given as type and place of each error, in plain language.

    >>> errors = [("missing", ("resource",)), ("float_type", ("timeout",))]
    >>> list(_problems(errors, "sisgate.sync", []))
    ['resource is missing', 'timeout is a number of seconds above 0']
    """
    strangers = []
    for kind, place in errors:
        name = str(place[0])
        if kind == "extra_forbidden":
            strangers.append(name[:40] if name.isprintable() else ascii(name[:40]))
        elif kind == "missing":
            yield f"{name} is missing"
        else:
            yield f"{name} is {TAKES.get(name, 'a text')}"
    if strangers:
        yield (
            f"{', '.join(strangers)} {'is' if len(strangers) == 1 else 'are'} no argument of "
            f"{task}; it takes {', '.join(known)}"
        )


def _storable(value: Any) -> str:
    """Return the value as text safe for any database and terminal."""
    text = value if isinstance(value, str) else type(value).__name__
    return "".join(c if c.isprintable() else "?" for c in text.replace("\0", ""))


KEPT_SECONDS = 3600
"""How long a cancel waits for its sync."""


class EarlyCancels:
    """Cancels that overtook their sync: the sync is cancelled on arrival.

    Messages of one queue may be handled in parallel, or redelivered after a worker was lost, so
    `sisgate.cancel` may be handled before the `sisgate.sync` that was sent first. Kept only in
    Redis: without it an early cancel is merely refused.
    """

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    def note(self, job_id: str, app: str) -> None:
        """Record that an app has cancelled an unknown job."""
        with suppress(BrokerUnavailable):
            self._redis.set(EARLY_CANCEL(job=job_id), app, ex=KEPT_SECONDS)

    def has(self, job_id: str, app: str) -> bool:
        """Return whether the app cancelled the job before it was known."""
        with suppress(BrokerUnavailable):
            return self._redis.get(EARLY_CANCEL(job=job_id)) == app.encode()
        return False
