"""Documents of the service as the values that the gateway returns. Pure."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobState
from sisgate.domain.stored_records import StoredChange, StoredRecord
from sisgate.domain.targets import stored_query
from sisgate.domain.validation import aware
from sisgate.errors import AnswerInvalid, UsageError
from sisgate.gateway.answer import Answer, RequestTarget
from sisgate.gateway.hold import Hold
from sisgate.gateway.job_status import DeadLetter, JobStatus
from sisgate.gateway.orders import NewRequest, NewSync
from sisgate.gateway.plan import Plan, PriorityQueue
from sisgate.gateway.wait import Wait
from sisgate.liveness.obstacles import Cause, Obstacle

Json = Mapping[str, Any]
T = TypeVar("T")


def moment(text: str | None) -> datetime | None:
    """Return a time of a document."""
    return None if text is None else datetime.fromisoformat(text)


def text_of(name: str, at: datetime | None) -> str | None:
    """Return a time for a document, which names it in the error for one without a zone."""
    at = aware(name, at)
    return at.isoformat() if at is not None else None


_STATUS = tuple(field.name for field in fields(JobStatus))
_TIMES = ("accepted_at", "started_at", "ended_at", "expires_at", "settled_at")


def status_of(document: Json) -> JobStatus:
    """Return the status of a job."""
    whole = completed(JobStatus, document)
    values = {name: whole[name] for name in _STATUS if name in whole}
    values |= {name: moment(whole[name]) for name in _TIMES if name in whole}
    values["state"] = JobState(document["state"])
    values["priority"] = Priority.parse(document["priority"])
    return JobStatus(**values)


def dead_letter_of(document: Json) -> DeadLetter:
    """Return a dead letter."""
    return DeadLetter(status_of(document), document["tries"], document["lost_workers"])


def answer_of(document: Json) -> Answer:
    """Return the response of a provider."""
    return Answer(
        document["job"], document["status"], document["headers"], b64decode(document["body"]),
        document["truncated"], document["age_seconds"], document["is_stale"], document["origin"],
    )  # fmt: skip


def target_of(document: Json) -> RequestTarget | None:
    """Return the target of a request; None for a sync."""
    if document["method"] is None and document["hidden"] == "it is a sync":
        return None
    query = document["query"]
    return RequestTarget(document["method"], document["path"], query, document["hidden"])


def hold_of(document: Json | None) -> Hold | None:
    """Return why a provider takes no calls."""
    if document is None:
        return None
    until = moment(document["next_probe_at"])
    return Hold(document["reason"], until, document["by_hand"], document["failure"])


def obstacle_of(document: Json) -> Obstacle:
    """Return an obstacle. The cause of a newer service may be one that is not known here."""
    known = {field.name for field in fields(Obstacle)}
    values = {name: value for name, value in document.items() if name in known}
    cause = values["cause"]
    values["cause"] = Cause(cause) if cause in set(Cause) else cause
    return Obstacle(**values)


def plan_of(document: Json) -> Plan:
    """Return a forecast."""
    return Plan(
        document["calls"], document["left"], moment(document["starts_at"]),
        moment(document["done_by"]), [obstacle_of(each) for each in document["obstacles"]] or (),
        hold_of(document["hold"]),
    )  # fmt: skip


def wait_of(document: Json | None) -> Wait | None:
    """Return what a job waits for."""
    if document is None:
        return None
    obstacles = tuple(obstacle_of(each) for each in document["obstacles"])
    until, hold = moment(document["until"]), hold_of(document["hold"])
    return Wait(document["reason"], until, hold, obstacles, document["failure"])


def queue_of(document: Json) -> PriorityQueue:
    """Return what waits with one priority."""
    priority = Priority.parse(document["priority"])
    return PriorityQueue(priority, document["messages"], moment(document["starts_at"]))


def record_of(provider: str, resource: str, line: Json) -> StoredRecord:
    """Return a record of a dataset."""
    at = datetime.fromisoformat
    return StoredRecord(
        provider, resource, line["sourcedId"], line["data"], at(line["firstSeen"]),
        at(line["lastSeen"]), at(line["changedAt"]), moment(line["deletedAt"]),
    )  # fmt: skip


def change_of(provider: str, resource: str, line: Json) -> StoredChange:
    """Return a change of a dataset."""
    return StoredChange(
        provider, resource, line["sequence"], line["operation"], line["sourcedId"],
        datetime.fromisoformat(line["changedAt"]), line["data"],
    )  # fmt: skip


def order_of(new: NewSync | NewRequest) -> dict[str, Any]:
    """Return what the service takes for a sync or a request, without its idempotency key."""
    names = [each.name for each in fields(new) if each.name != "idempotency_key"]
    values = {name: getattr(new, name) for name in names}
    values["priority"] = word_of(values["priority"])
    if isinstance(new, NewSync):
        values["expires_at"] = text_of("expires_at", values["expires_at"])
    else:
        values["method"] = new.method.upper()
        values["query"] = stored_query(new.query) or None
        values["headers"] = dict(new.headers) if new.headers is not None else None
        if new.body is not None:
            values["body"] = b64encode(new.body).decode()
    return given(values)


def given(order: Json) -> dict[str, Any]:
    """Return an order without what nobody gave: an older service refuses names that are new.

    Not where the service takes None for a value, such as the life of a token that does not end.
    """
    return {name: value for name, value in order.items() if value is not None}


def word_of(priority: str | Priority) -> str:
    """Return a priority as the service takes it; `UsageError` for none."""
    try:
        return Priority.parse(priority).word
    except ValueError as error:
        raise UsageError(f"{error}.") from None


def value_of(kind: type[T], document: Any) -> T:
    """Return a value of a type, for those that few apps use: its fields are those of the document.

    What an older service does not tell is empty. Raises `AnswerInvalid` for another document. Loads
    pydantic.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(completed(kind, document))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise AnswerInvalid(
            f"The service answered what this version of sisgate cannot read ({place}: "
            f"{first['msg']}). Are both of one version?"
        ) from None


def completed(kind: Any, document: Any) -> Any:
    """Return a document with the fields of a type that it lacks and that have an empty value.

    >>> completed(Hold | None, {"reason": "paused"})
    {'reason': 'paused', 'next_probe_at': None}
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return completed(next((e for e in inner if is_dataclass(e) or get_args(e)), None), document)
    if isinstance(document, list) and inner:
        return [completed(inner[0], each) for each in document]
    if not isinstance(document, Mapping):
        return document
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        known = {name: completed(hints.get(name), each) for name, each in document.items()}
        return known | {
            each.name: _empty(hints[each.name])
            for each in fields(kind)
            if each.init and each.name not in known
            if each.default is MISSING and each.default_factory is MISSING
        }
    if len(inner) == 2:
        return {name: completed(inner[1], each) for name, each in document.items()}
    return document


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _empty(hint: Any) -> Any:
    """Return the empty value of a type; None for others, and for those that may be None."""
    kind = get_origin(hint) or hint
    if kind in {str, int, float, bool}:
        return kind()
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return {}
    return () if isinstance(kind, type) and issubclass(kind, Sequence) else None


def person_of(provider: str, sourced_id: str) -> dict[str, Any]:
    """Return what the service takes for a person: in a body, as no log keeps those."""
    return {"provider": provider, "sourced_id": sourced_id}
