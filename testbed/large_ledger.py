"""A ledger as a large fleet leaves it after a month, written by the database itself.

Nothing is drawn: row `n` is the same on each run, but for its time, which ends now. Half of the
work is of the first `BUSY` providers, named `p0`, `p1` and so on; the rest is spread over all.
"""

from collections.abc import Mapping
from hashlib import md5
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from sisgate.ledger.database import Database

BUSY = 50
SPAN_SECONDS = 30 * 86_400
HOURS = SPAN_SECONDS // 3600
LIVE = 500
"""Jobs at the end that still wait."""

_RESOURCE = (
    "CASE {n} % 4 WHEN 0 THEN 'orgs' WHEN 1 THEN 'students' WHEN 2 THEN 'classes' "
    "ELSE 'enrollments' END"
)
_STATE = """CASE WHEN n > {count} - {live} THEN CASE n % 2 WHEN 0 THEN 'accepted' ELSE 'running' END
    WHEN n * 31 % 1000 < 15 THEN 'failed' WHEN n * 31 % 1000 < 20 THEN 'cancelled'
    WHEN n * 31 % 1000 < 25 THEN 'expired' WHEN n * 31 % 1000 = 25 AND n % 100 < 2 THEN 'unknown'
    ELSE 'done' END"""
_ERROR = """CASE WHEN n * 31 % 1000 < 15 AND n <= {count} - {live} THEN '{{"code":"' ||
    CASE n % 5 WHEN 0 THEN 'provider_refused' WHEN 1 THEN 'deadline_exceeded'
    ELSE 'provider_unavailable' END || '","message":"The provider answered 503."}}' END"""

_TABLES: Mapping[str, Mapping[str, str]] = {
    "jobs": {
        "id": "{id}", "kind": "{kind}", "state": "{state}",
        "app": "'app' || (n * 13 % 20)", "provider": "{provider}", "resource": "{resource}",
        "priority": "n * 7 % 4 * 3", "options": "{json}", "fingerprint": "'0'",
        "idempotency_key": "CASE WHEN n % 10 = 0 THEN 'key' || n END", "accepted_at": "{at}",
        "published_at": "{at}", "started_at": "{at}",
        "ended_at": "CASE WHEN n <= {count} - {live} THEN {at} END", "error": "{error}",
        "dead": "n * 31 % 1000 < 10 AND n <= {count} - {live}", "rows_seen": "100", "inserted": "1",
        "updated": "1", "deleted": "0", "calls_made": "1", "throttled": "0",
    },
    "calls": {
        "id": "n", "job_id": "{id}", "provider": "{provider}",
        "priority": "n * 7 % 4 * 3", "purpose": "'page'",
        "state": "CASE WHEN n > {count} - {live} THEN 'queued' WHEN n * 31 % 1000 < 15 "
        "THEN 'failed' ELSE 'done' END",
        "attempt": "1", "tries": "0", "lost_workers": "0", "is_retry": "{false}", "look": "1",
        "planned_at": "{at}", "published_at": "{at}",
        "ended_at": "CASE WHEN n <= {count} - {live} THEN {at} END",
        "started_at": "CASE WHEN n <= {count} - {live} THEN {at} END",
        "endpoint": "'https://sis.example'", "status": "200", "elapsed_ms": "n * 17 % 900",
        "rows": "100",
    },
    "attempts": {
        "call_id": "n", "number": "1", "provider": "{provider}", "started_at": "{at}",
        "lease_until": "{at}", "ended_at": "{at}", "status": "200",
    },
    "audit_events": {
        "writer": "1", "number": "n", "at": "{at}",
        "actor": "CASE n % 2 WHEN 0 THEN 'worker' ELSE 'app' || (n * 13 % 20) END",
        "action": "CASE WHEN n % 100000 = 7 THEN 'limits:provider:pause' WHEN n % 2 = 0 "
        "THEN 'call:outcome' ELSE 'jobs:sync:accept' END",
        "subject": "CASE WHEN n % 100000 = 7 THEN {provider} ELSE 'call/' || n END",
        "provider": "{provider}", "job_id": "{id}",
        "detail": "'{{\"outcome\":\"done\",\"status\":200,\"rows\":100}}'", "mac": "{mac}",
    },
}  # fmt: skip


def fill(database: Database, *, jobs: int, providers: int) -> None:
    """Put jobs with one call, one attempt and one audit event each into an empty ledger.

    And the datasets of all providers, read at some time within the last day.
    """
    postgres = database.engine.dialect.name == "postgresql"
    values = _words(jobs, providers, postgres=postgres)
    with database.engine.begin() as connection:
        if postgres:
            connection.execute(text("SET LOCAL session_replication_role = replica"))  # no triggers
        else:
            raw: Any = connection.connection.driver_connection
            raw.create_function("uuid_of", 1, _uuid_of, deterministic=True)
        for table, columns in _TABLES.items():
            chosen = ", ".join(each.format(**values) for each in columns.values())
            _insert(connection, table, ", ".join(columns), chosen, values["series"])
        at = values["ago"].format("n * 7919 % 86400")
        _insert(
            connection, "datasets",
            "provider, resource, last_sequence, change_horizon, generation, full_synced_at, "
            "synced_at",
            f"'p' || ((n - 1) / 4), {_RESOURCE.format(n='n')}, n % 1000, 0, 1, {at}, {at}",
            values["of_datasets"],
        )  # fmt: skip
        _insert(
            connection, "usage_hours", "hour, provider, app, calls, throttled, failed, rows",
            f"{values['hour']}, 'p' || (n % {BUSY}), 'app' || (n % 20), 20, 0, 1, 2000",
            values["of_usage"],
        )  # fmt: skip
        if postgres:  # numbers were given out by hand
            connection.execute(
                text("SELECT setval(pg_get_serial_sequence('calls', 'id'), :n)"), {"n": jobs}
            )
        connection.execute(text("ANALYZE"))


_INDEXES = {
    "postgresql": "SELECT i.indexname, i.indexdef FROM pg_indexes i LEFT JOIN pg_constraint c "
    "ON c.conname = i.indexname WHERE i.tablename = '{}' AND c.conname IS NULL",
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = '{}' "
    "AND sql IS NOT NULL",
}


def _insert(connection: Connection, table: str, columns: str, values: str, series: str) -> None:
    """Insert the rows, and make the indexes afterwards: at once costs less than one by one."""
    listed = connection.exec_driver_sql(_INDEXES[connection.dialect.name].format(table)).all()
    for name, _ in listed:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    statement = f"INSERT INTO {table} ({columns}) SELECT {values} FROM {series}"
    # The driver of PostgreSQL takes a lone percent sign for a parameter.
    is_postgres = connection.dialect.name == "postgresql"
    connection.exec_driver_sql(statement.replace("%", "%%") if is_postgres else statement)
    for _, definition in listed:
        connection.exec_driver_sql(definition)


def _words(jobs: int, providers: int, *, postgres: bool) -> dict[str, str]:
    busy = min(BUSY, providers)
    common = {
        "count": str(jobs), "live": str(min(LIVE, jobs // 10)),
        "provider": f"'p' || (CASE n % 2 WHEN 0 THEN n / 2 % {busy} ELSE n / 2 % {providers} END)",
        "kind": "CASE WHEN n % 10 < 3 THEN 'request' ELSE 'sync' END",
        "resource": f"CASE WHEN n % 10 >= 3 THEN {_RESOURCE.format(n='(n / 10)')} END",
    }  # fmt: skip
    if postgres:
        own = {
            "series": f"generate_series(1::bigint, {jobs}) AS n",
            "id": "md5('job' || n)::uuid::text",
            "of_datasets": f"generate_series(1, {4 * providers}) AS n",
            "of_usage": f"generate_series(1, {HOURS * BUSY}) AS n",
            "hour": f"date_trunc('hour', now()) - (n / {BUSY} + 1) * interval '1 hour'",
            "ago": "(now() - ({}) * interval '1 second')", "json": "'{}'::jsonb", "false": "false",
            "mac": "'\\x00'::bytea",
        }  # fmt: skip
        error = f"({_ERROR})::jsonb"
    else:
        own = {
            "series": _numbers(jobs), "of_datasets": _numbers(4 * providers),
            "of_usage": _numbers(HOURS * BUSY),
            "hour": "strftime('%Y-%m-%d %H:00:00.000000', 'now', "
            f"'-' || (n / {BUSY} + 1) || ' hours')",
            "id": "uuid_of('job' || n)",
            "ago": "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || ({}) || ' seconds')",
            "json": "'{}'", "false": "0", "mac": "x'00'",
        }  # fmt: skip
        error = _ERROR
    words = common | own
    words["at"] = words["ago"].format(f"({jobs} - n) * {SPAN_SECONDS / jobs}")
    words["state"] = _STATE.format(**words)
    words["error"] = error.format(**words)
    return words


def _uuid_of(name: str) -> str:
    return str(UUID(md5(name.encode(), usedforsecurity=False).hexdigest()))


def _numbers(count: int) -> str:
    return (
        f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) "
        "SELECT n FROM s)"
    )
