"""Many rows in one statement, where the database can: PostgreSQL takes them as one JSON text.

SQLite, which runs in this process, steps one prepared statement over the rows instead.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, Table, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from sisgate.ledger.call_statements import GIVEN_OF_JOB, TALLIES, insert_call, insert_job_quietly
from sisgate.ledger.schema import Call, Job, table_of

CHUNK = 1000
"""The number of ids in one statement."""

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def insert_jobs(
    session: Session, rows: Sequence[Mapping[str, Any]], now: datetime
) -> dict[str, int | None]:
    """Insert jobs, requests with their one call; return those that are new with the call's id.

    The ids must be new ones. A job whose idempotency key is there already is left out.
    """
    # In one order, as a key waits for another transaction with it: else two could for each other.
    rows = sorted(rows, key=lambda row: (row["app"], row["idempotency_key"] or ""))
    if session.get_bind().dialect.name == "postgresql":
        return _insert_jobs_as_json(session, rows, now)
    insert_job_quietly(session, rows)
    ids = [row["id"] for row in rows]
    new = {job_id for (job_id,) in _by_ids(session, Job.id, ids=ids)}
    requests = [row for row in rows if row["kind"] == "request" and row["id"] in new]
    if requests:
        insert_call(session, [{**row, "target": row["options"]} for row in requests])
    calls = _by_ids(session, Call.job_id, Call.id, ids=[row["id"] for row in requests])
    return dict.fromkeys(new) | {row[0]: row[1] for row in calls}


def jobs_by_key(
    session: Session, rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str | None], Job]:
    """Return the jobs that have the apps and idempotency keys of rows, by both."""
    keys: dict[str, list[str]] = {}
    for row in rows:
        keys.setdefault(row["app"], []).append(row["idempotency_key"])
    found: dict[tuple[str, str | None], Job] = {}
    for app, of_app in keys.items():
        for begin in range(0, len(of_app), CHUNK):
            some = Job.idempotency_key.in_(of_app[begin : begin + CHUNK])
            jobs = session.scalars(select(Job).where(Job.app == app, some))
            found |= {(app, job.idempotency_key): job for job in jobs}
    return found


def insert_rows(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of all columns of a table in PostgreSQL, in one statement."""
    names = [column.name for column in table.columns]
    session.connection().exec_driver_sql(
        f"INSERT INTO {table.name} ({_listed(names)}) SELECT {_read(table, names)} "  # noqa: S608 - our own names
        f"FROM json_to_recordset(%(rows)s::json) AS given({_declared(table, names)})",
        {"rows": as_json(rows)},
    )


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as PostgreSQL reads them: bytes in base64, times in ISO 8601."""
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> str:
    return b64encode(value).decode() if isinstance(value, bytes) else value.isoformat()


def _insert_jobs_as_json(
    session: Session, rows: Sequence[Mapping[str, Any]], now: datetime
) -> dict[str, int | None]:
    found = session.connection().exec_driver_sql(_INSERT_JOBS, {"rows": as_json(rows), "now": now})
    return {row[0]: row[1] for row in found}


def _by_ids(session: Session, *columns: Any, ids: Sequence[str]) -> list[Any]:
    rows: list[Any] = []
    for begin in range(0, len(ids), CHUNK):
        query = select(*columns).where(columns[0].in_(ids[begin : begin + CHUNK]))
        rows.extend(session.execute(query))
    return rows


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _read(table: Table, names: Sequence[str]) -> str:
    return ", ".join(
        f"decode({name}, 'base64')" if isinstance(table.c[name].type, LargeBinary) else name
        for name in names
    )


def _declared(table: Table, names: Sequence[str]) -> str:
    return ", ".join(
        f"{name} text"
        if isinstance(table.c[name].type, LargeBinary)
        else f"{name} {table.c[name].type.compile(_DIALECT)}"
        for name in names
    )


def _insert_jobs_text() -> str:
    table, names = table_of(Job), GIVEN_OF_JOB
    return f"""
        WITH accepted AS (
            INSERT INTO jobs ({_listed(names)}, {_listed(TALLIES)}, dead)
            SELECT {_read(table, names)}, {", ".join("0" for _ in TALLIES)}, false
            FROM json_to_recordset(%(rows)s::json) AS given({_declared(table, names)})
            ON CONFLICT DO NOTHING RETURNING id, kind, provider, priority, options
        ), called AS (
            INSERT INTO calls (
                job_id, provider, priority, purpose, state, attempt, tries, lost_workers,
                is_retry, look, start, page, target, planned_at, published_at
            )
            SELECT id, provider, priority, 'request', 'queued', 0, 0, 0,
                false, 1, 0, 1, options, %(now)s, %(now)s
            FROM accepted WHERE kind = 'request' RETURNING id, job_id
        )
        SELECT accepted.id, called.id FROM accepted LEFT JOIN called ON called.job_id = accepted.id
    """  # noqa: S608 - our own names


_INSERT_JOBS = _insert_jobs_text()
