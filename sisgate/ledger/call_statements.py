"""The statements that every call passes: accepted, claimed, answered.

PostgreSQL does each step in one statement, since there every statement is a round trip and is
planned anew. SQLite has no statements within statements, and needs none: it runs in this process.
Each step commits with the audit event that tells of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Table,
    exists,
    false,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from sisgate.domain.states import LIVE_JOB_STATES, CallState
from sisgate.ledger.prepared import Prepared, given
from sisgate.ledger.schema import Attempt, Call, Job, ListingRow, Response, table_of
from sisgate.ledger.states import is_still

NewValues = Mapping[str, Any]
"""The values of a row by column."""


_JOBS, _CALLS, _ATTEMPTS = table_of(Job), table_of(Call), table_of(Attempt)
_LISTINGS, _RESPONSES = table_of(ListingRow), table_of(Response)

GIVEN_OF_JOB = (
    "id", "kind", "state", "app", "provider", "resource", "priority", "options", "sealed_request",
    "idempotency_key", "fingerprint", "accepted_at", "published_at", "started_at", "expires_at",
    "request_id", "traceparent", "shared_as", "due_at",
)  # fmt: skip
TALLIES = ("rows_seen", "inserted", "updated", "deleted", "calls_made", "throttled", "shared")
OF_CALL = (
    "id", "job_id", "listing_id", "provider", "priority", "purpose", "attempt", "tries", "is_retry",
    "look", "start", "page", "size", "link", "target", "published_at", "lease_until", "error",
)  # fmt: skip
OF_JOB = (
    "id", "kind", "app", "provider", "resource", "priority", "options", "sealed_request",
    "expires_at", "mode", "request_id", "traceparent",
)  # fmt: skip
OF_LISTING = ("id", "plan", "total")
_OF_ANSWER = ("endpoint", "status", "body_bytes", "elapsed_ms", "error")
_OF_RESPONSE = (
    "job_id", "status", "headers", "sealed_body", "truncated", "asked", "stored_at", "delete_after",
)  # fmt: skip


def insert_job(session: Session, values: NewValues) -> bool:
    """Insert a job; False where one with its id or its idempotency key is there already."""
    return bool(_INSERT_JOB.run(session, values))


def insert_request(session: Session, values: NewValues, target: NewValues) -> int | None:
    """Insert the job of a request with its one call, queued; return the call's id, None as above.

    `target` is what of the request its call tells.
    """
    values = {**values, "target": target}
    if session.get_bind().dialect.name == "sqlite" and not insert_job(session, values):
        return None
    rows = _INSERT_CALL.run(session, values)
    return int(rows[0][0]) if rows else None


def insert_job_quietly(session: Session, rows: Sequence[NewValues]) -> None:
    """Insert many jobs; those that are there already are left out without a word."""
    _INSERT_JOB_QUIETLY.run_each(session, rows)


def insert_call(session: Session, rows: Sequence[NewValues]) -> None:
    """Insert the calls of many requests; `rows` are their jobs' with the `target` of each."""
    _INSERT_CALL_QUIETLY.run_each(session, rows)


def claim(
    session: Session, call_id: int, now: datetime, lease: timedelta, permit: str | None
) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]] | None:
    """Claim a queued call of a live job, begin its attempt, and return `OF_…` of all three.

    None where it is not there to be claimed.
    """
    values = {"call_id": call_id, "now": now, "lease_until": now + lease, "permit": permit}
    rows = _CLAIM.run(session, values)
    if rows and session.get_bind().dialect.name == "sqlite":
        _BEGIN_ATTEMPT.run(session, values)
        rows = _READ_CLAIM.run(session, values)
    if not rows:
        return None
    row, job = rows[0], len(OF_CALL)
    listing = job + len(OF_JOB)
    return row[:job], row[job:listing], row[listing:]


def end_answered(
    session: Session, call: NewValues, job: NewValues, response: NewValues, now: datetime
) -> bool:
    """End an answered request: its call, attempt and job, and keep the response.

    `call` has its id, attempt, new state and what is known of the answer; `job` its new state, an
    error or None, and how many requests were sent. False, with nothing written, if the claim was
    lost. The job must be locked and live.
    """
    values = {
        "call_id": call["id"], "attempt": call["attempt"], "call_state": call["state"],
        **{name: call[name] for name in _OF_ANSWER},
        "job_state": job["state"], "job_error": job["error"], "sent": job["sent"], "now": now,
        **{f"response_{name}": response[name] for name in _OF_RESPONSE},
    }  # fmt: skip
    if not _END_CALL.run(session, values):
        return False
    if session.get_bind().dialect.name == "sqlite":
        for statement in (_END_ATTEMPT, _KEEP_RESPONSE, _END_JOB):
            statement.run(session, values)
    return True


def end_attempt(
    session: Session, call_id: int, number: int, now: datetime, status: int | None
) -> None:
    """Write when an attempt ended, and with what answer."""
    ended = {"call_id": call_id, "attempt": number, "now": now, "status": status}
    _END_ATTEMPT.run(session, ended)


def lock_job(session: Session, job_id: str) -> str | None:
    """Lock a job until the transaction ends; return its state, None where there is none.

    What follows in the transaction sees the job, and its running call, as nobody else changes them.
    """
    rows = _LOCK_JOB.run(session, {"id": job_id})
    return str(rows[0][0]) if rows else None


def state_of(session: Session, job_id: str) -> str | None:
    """Return the state of a job, None where there is none."""
    rows = _STATE_OF_JOB.run(session, {"id": job_id})
    return str(rows[0][0]) if rows else None


def _insert_job(is_postgresql: bool) -> Any:
    return _insert_job_quietly(is_postgresql).returning(_JOBS.c.id)


def _insert_job_quietly(is_postgresql: bool) -> Any:
    values: dict[str, Any] = {name: _given(_JOBS, name) for name in GIVEN_OF_JOB}
    values |= dict.fromkeys(TALLIES, literal_column("0")) | {"dead": false()}
    statement = (postgresql if is_postgresql else sqlite).insert(_JOBS).values(values)
    return statement.on_conflict_do_nothing()


def _insert_call(is_postgresql: bool, *, returns: bool = True) -> Any:
    """Insert the one call of a request, queued, and in PostgreSQL its job before it."""
    zero: ColumnElement[int] = literal_column("0")
    one: ColumnElement[int] = literal_column("1")
    accepted = _insert_job(True).cte("accepted") if is_postgresql else None
    values: dict[str, ColumnElement[Any]] = {
        "job_id": accepted.c.id if accepted is not None else given("id", _JOBS.c.id.type),
        "provider": _given(_JOBS, "provider"),
        "priority": _given(_JOBS, "priority"),
        "purpose": literal_column("'request'"),
        "state": literal_column(f"'{CallState.QUEUED.value}'"),
        "attempt": zero, "tries": zero, "lost_workers": zero, "is_retry": false(), "look": one,
        "start": zero, "page": one,
        "target": given("target", _CALLS.c.target.type),
        "planned_at": given("accepted_at", _JOBS.c.accepted_at.type),
        "published_at": given("published_at", _JOBS.c.published_at.type),
    }  # fmt: skip
    found = select(*values.values())
    if accepted is not None:
        found = found.select_from(accepted)
    statement = insert(_CALLS).from_select(list(values), found, include_defaults=False)
    return statement.returning(_CALLS.c.id) if returns else statement


def _claim(is_postgresql: bool) -> Any:
    """Claim a queued call of a live job; in PostgreSQL with its attempt, and read all of it."""
    statement = update(_CALLS).where(
        _CALLS.c.id == given("call_id"),
        is_still(_CALLS.c.state, CallState.QUEUED),
        exists().where(_JOBS.c.id == _CALLS.c.job_id, is_still(_JOBS.c.state, *LIVE_JOB_STATES)),
    )
    claimed = statement.values(
        state=literal_column(f"'{CallState.RUNNING.value}'"),
        attempt=_CALLS.c.attempt + literal_column("1"),
        started_at=given("now", _CALLS.c.started_at.type),
        lease_until=given("lease_until", _CALLS.c.lease_until.type),
    )
    if not is_postgresql:
        return claimed.returning(_CALLS.c.id)
    call = claimed.returning(*(_CALLS.c[name] for name in OF_CALL)).cte("claimed")
    return _read_claim(call).add_cte(_begin_attempt(call).cte("begun"))


def _begin_attempt(call: Any, *which: ColumnElement[bool]) -> Any:
    values = {
        "call_id": call.c.id, "number": call.c.attempt,
        "permit": given("permit", _ATTEMPTS.c.permit.type), "provider": call.c.provider,
        "started_at": given("now", _CALLS.c.started_at.type), "lease_until": call.c.lease_until,
    }  # fmt: skip
    return insert(_ATTEMPTS).from_select(
        list(values), select(*values.values()).where(*which), include_defaults=False
    )


def _read_claim(call: Any) -> Any:
    return (
        select(
            *(call.c[name] for name in OF_CALL),
            *(_JOBS.c[name] for name in OF_JOB),
            *(_LISTINGS.c[name] for name in OF_LISTING),
        )
        .select_from(call)
        .join(_JOBS, _JOBS.c.id == call.c.job_id)
        .outerjoin(_LISTINGS, _LISTINGS.c.id == call.c.listing_id)
    )


def _end_call(is_postgresql: bool) -> Any:
    """End a claimed call that was answered, fenced by its attempt.

    In PostgreSQL with all that follows: attempt, response and job.
    """
    ended = (
        update(_CALLS)
        .where(
            _CALLS.c.id == given("call_id"),
            _CALLS.c.attempt == given("attempt"),
            is_still(_CALLS.c.state, CallState.RUNNING),
        )
        .values(
            lease_until=None,
            ended_at=given("now", _CALLS.c.ended_at.type),
            state=given("call_state", _CALLS.c.state.type),
            **{name: _given(_CALLS, name) for name in _OF_ANSWER},
        )
        .returning(_CALLS.c.id)
    )
    if not is_postgresql:
        return ended
    call = ended.cte("ended")
    is_ours = exists(select(call.c.id))
    return (
        select(call.c.id)
        .add_cte(_end_attempt(True).where(is_ours).cte("attempt"))
        .add_cte(_keep_response(True, call).cte("response"))
        .add_cte(_end_job(True).where(is_ours).cte("job"))
    )


def _end_attempt(_: bool) -> Any:
    return (
        update(_ATTEMPTS)
        .where(
            _ATTEMPTS.c.call_id == given("call_id"),
            _ATTEMPTS.c.number == given("attempt", _ATTEMPTS.c.number.type),
        )
        .values(
            ended_at=given("now", _CALLS.c.ended_at.type),
            status=given("status", _CALLS.c.status.type),
        )
    )


def _keep_response(is_postgresql: bool, call: Any = None) -> Any:
    insert_into = (postgresql if is_postgresql else sqlite).insert(_RESPONSES)
    places = [given(f"response_{name}", _RESPONSES.c[name].type) for name in _OF_RESPONSE]
    # `WHERE true`, or SQLite takes ON CONFLICT for the condition of a join.
    rows = select(*places).where(literal_column("true"))
    if call is not None:
        rows = rows.select_from(call)
    statement = insert_into.from_select(list(_OF_RESPONSE), rows, include_defaults=False)
    return statement.on_conflict_do_update(
        index_elements=["job_id"],
        set_={name: statement.excluded[name] for name in _OF_RESPONSE if name != "job_id"},
    )


def _end_job(_: bool) -> Any:
    return (
        update(_JOBS)
        .where(_JOBS.c.id == given("response_job_id", _JOBS.c.id.type))
        .values(
            state=given("job_state", _JOBS.c.state.type),
            ended_at=given("now", _CALLS.c.ended_at.type),
            error=func.coalesce(given("job_error", _JOBS.c.error.type), _JOBS.c.error),
            dead=false(),
            calls_made=_JOBS.c.calls_made + given("sent", _JOBS.c.calls_made.type),
        )
    )


def _given(table: Table, name: str) -> ColumnElement[Any]:
    return given(name, table.c[name].type)


_INSERT_JOB, _INSERT_CALL = Prepared(_insert_job), Prepared(_insert_call)
_INSERT_JOB_QUIETLY = Prepared(_insert_job_quietly)
_INSERT_CALL_QUIETLY = Prepared(lambda _: _insert_call(False, returns=False))
_CLAIM = Prepared(_claim)
_BEGIN_ATTEMPT = Prepared(lambda _: _begin_attempt(_CALLS, _CALLS.c.id == given("call_id")))
_READ_CLAIM = Prepared(lambda _: _read_claim(_CALLS).where(_CALLS.c.id == given("call_id")))
_STATE_OF_JOB = Prepared(lambda _: select(_JOBS.c.state).where(_JOBS.c.id == given("id")))
_LOCK_JOB = Prepared(
    lambda _: select(_JOBS.c.state).where(_JOBS.c.id == given("id")).with_for_update()
)
_END_CALL, _END_ATTEMPT, _END_JOB = Prepared(_end_call), Prepared(_end_attempt), Prepared(_end_job)
_KEEP_RESPONSE = Prepared(_keep_response)
