"""A stored response with what decides who may see it, in one statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sisgate.ledger.prepared import Prepared, given
from sisgate.ledger.schema import Job, Response, table_of


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response as it is stored, sealed."""

    status: int
    headers: Mapping[str, str]
    sealed_body: bytes
    truncated: bool
    stored_at: datetime | None


@dataclass(frozen=True, slots=True)
class AnsweredJob:
    """A job, as far as it matters for its response; `response` is None without one."""

    id: str
    app: str
    provider: str
    resource: str | None
    request_id: str | None
    options: Mapping[str, Any]
    response: StoredResponse | None


_JOBS, _RESPONSES = table_of(Job), table_of(Response)
_OF_JOB = ("id", "app", "provider", "resource", "request_id", "options")
_OF_RESPONSE = ("status", "headers", "sealed_body", "truncated", "stored_at")

_READ = Prepared(
    lambda _: (
        select(
            *(_JOBS.c[name] for name in _OF_JOB),
            _RESPONSES.c.job_id.label("answered"),
            *(_RESPONSES.c[name].label(f"response_{name}") for name in _OF_RESPONSE),
        )
        .select_from(_JOBS.outerjoin(_RESPONSES, _RESPONSES.c.job_id == _JOBS.c.id))
        .where(_JOBS.c.id == given("id", _JOBS.c.id.type))
    )
)


def is_stored(session: Session, job_id: str) -> bool:
    """Return whether the response to a job is stored."""
    query = select(_RESPONSES.c.job_id).where(_RESPONSES.c.job_id == job_id)
    return session.execute(query).first() is not None


def read_answered(session: Session, job_id: str) -> AnsweredJob | None:
    """Return a job with its response, None if there is no such job."""
    rows = _READ.run(session, {"id": job_id})
    if not rows:
        return None
    (row,) = rows
    count = len(_OF_JOB)
    job: dict[str, Any] = dict(zip(_OF_JOB, row[:count], strict=True))
    is_answered = row[count] is not None
    return AnsweredJob(**job, response=StoredResponse(*row[count + 1 :]) if is_answered else None)
