"""A sync that another Celery app asks for by name: `send_task("sisgate.sync", kwargs=…)`.

Nobody checked its arguments before they came here, and the asker has only the task's id, which
becomes the job's. So whatever is wrong with them is told by a failed job of that id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sisgate.access.gate import Gate
from sisgate.access.policy import Action
from sisgate.errors import AccessDenied, IdempotencyConflict, UsageError
from sisgate.gateway import Gateway

log = structlog.get_logger()

POSITIONAL = ("provider", "resource")
ID_LENGTH = 36
TAKES = {
    "allow_deletes": "true or false",
    "timeout": "a number of seconds above 0",
    "app": "a text of 1 to 100 characters",
}
"""What an argument is, where it is not just a text."""


class Order(BaseModel):
    """The arguments of `sisgate.sync`. Strict: a number is not taken for a word."""

    model_config = ConfigDict(extra="forbid", strict=True)

    provider: str
    resource: str
    priority: str = "normal"
    mode: str = "auto"
    allow_deletes: bool = False
    idempotency_key: str | None = None
    timeout: Annotated[float, Field(gt=0, le=10**9, allow_inf_nan=False)] | None = None
    app: Annotated[str, Field(min_length=1, max_length=100)] = "celery"


def accept(
    gateway: Gateway, gate: Gate, job_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Accept the sync, or keep a failed job that says what is wrong with it.

    `gate` stands for whoever can write to the broker.

    Raises `DatabaseUnavailable`; a second delivery finds the job of the first one.
    """
    if len(job_id) > ID_LENGTH or not job_id.isprintable():
        log.error("sync_refused", reason=f"a task id has at most {ID_LENGTH} printable characters")
        return
    try:
        order = _read(args, kwargs)
        gate.pass_through(Action.ENQUEUE, order.provider, order.resource)
        if order.allow_deletes:
            gate.pass_through(Action.CONTROL, order.provider, order.resource)
        gateway.sync(**order.model_dump(), job_id=job_id)
    except (UsageError, AccessDenied) as error:
        log.warning("sync_refused", job=job_id, code=error.code)
        named = {**dict(zip(POSITIONAL, args, strict=False)), **kwargs}
        provider, resource, app = (
            _storable(named.get(name, default))
            for name, default in (("provider", ""), ("resource", ""), ("app", "celery"))
        )
        try:
            gateway.refuse(job_id, provider, resource, app, error)
        except IdempotencyConflict:
            # The id is that of another job, which must not be told to have failed.
            log.warning("task_id_used_twice", job=job_id)


def _read(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Order:
    if len(args) > len(POSITIONAL):
        raise UsageError(f"sisgate.sync takes {' and '.join(POSITIONAL)}, the rest by name.")
    try:
        return Order.model_validate({**dict(zip(POSITIONAL, args, strict=False)), **kwargs})
    except ValidationError as error:
        items = error.errors(include_input=False, include_url=False, include_context=False)
        problems = ". ".join(_problems([(item["type"], item["loc"]) for item in items[:10]]))
        raise UsageError(f"The arguments of sisgate.sync are wrong: {problems}.") from None


def _problems(found: Sequence[tuple[str, tuple[int | str, ...]]]) -> Iterator[str]:
    """Yield in plain words what pydantic found wrong, given as its type and its place.

    >>> list(_problems([("missing", ("resource",)), ("float_type", ("timeout",))]))
    ['resource is missing', 'timeout is a number of seconds above 0']
    """
    strangers = []
    for kind, place in found:
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
            f"sisgate.sync; it takes {', '.join(Order.model_fields)}"
        )


def _storable(value: Any) -> str:
    """Return the value as text that any database takes."""
    text = value if isinstance(value, str) else type(value).__name__
    return text.encode("utf-8", "replace").decode().replace("\0", "")
