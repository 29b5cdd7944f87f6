"""What each SQL statement costs: rows that PostgreSQL's plan touches, or steps of SQLite's machine.

A plan alone does not tell: an index may be used to walk through half of a table.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, event, insert, text

from sisgate import Gateway
from sisgate.clock import SystemClock
from sisgate.errors import IdempotencyConflict, SisgateError, UsageError
from sisgate.ledger import job_search
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Dataset, Job

STEPS = 50
"""How exactly the steps are counted."""

CHUNK = 10_000


@dataclass
class Costs:
    """The most that each statement has cost, by its text."""

    most: dict[str, int] = field(default_factory=dict)

    def note(self, statement: str, cost: int) -> None:
        self.most[statement] = max(cost, self.most.get(statement, 0))

    @property
    def dearest(self) -> tuple[int, str]:
        return max(((cost, statement) for statement, cost in self.most.items()), default=(0, ""))


@contextmanager
def costs_of(database: Database) -> Iterator[Costs]:
    """Measure every statement while this lasts. PostgreSQL runs each of them twice."""
    costs = Costs()
    measure = _sqlite if database.is_sqlite else _postgres

    def before(
        connection: Connection, cursor: Any, statement: str, parameters: Any, _: Any, many: bool
    ) -> None:
        measure(costs, cursor, statement, parameters[0] if many else parameters)

    def after(_: Connection, cursor: Any, *__: Any) -> None:
        if database.is_sqlite:
            cursor.connection.set_progress_handler(None, 0)

    event.listen(database.engine, "before_cursor_execute", before)
    event.listen(database.engine, "after_cursor_execute", after)
    try:
        yield costs
    finally:
        event.remove(database.engine, "before_cursor_execute", before)
        event.remove(database.engine, "after_cursor_execute", after)


def _sqlite(costs: Costs, cursor: Any, statement: str, _: Any) -> None:
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += STEPS
        costs.note(statement, steps)
        return 0

    costs.note(statement, 0)
    cursor.connection.set_progress_handler(step, STEPS)


def _postgres(costs: Costs, cursor: Any, statement: str, parameters: Any) -> None:
    if statement.split(maxsplit=1)[0].upper() not in {
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
        "WITH",
    }:
        return
    with cursor.connection.cursor() as explaining:
        explaining.execute("SAVEPOINT measured")
        try:
            explaining.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            (plans,) = explaining.fetchone()
        finally:
            explaining.execute("ROLLBACK TO SAVEPOINT measured")
    found = plans if isinstance(plans, list) else json.loads(plans)
    costs.note(statement, max(_rows_of(found[0]["Plan"])))


def _rows_of(node: dict[str, Any]) -> Iterator[int]:
    removed = sum(value for name, value in node.items() if name.startswith("Rows Removed"))
    yield round((node.get("Actual Rows", 0) + removed) * node.get("Actual Loops", 1))
    for below in node.get("Plans", ()):
        yield from _rows_of(below)


def fill_with_jobs(database: Database, count: int, *, provider: str, app: str) -> None:
    """Put so many finished syncs of one app into the ledger, most of them without a key."""
    now, columns = SystemClock().now(), {"kind": "sync", "state": "done", "resource": "students"}
    with database.write() as session:
        session.execute(
            insert(Dataset).values(provider=provider, resource="students", synced_at=now)
        )
    for begin in range(0, count, CHUNK):
        with database.write() as session:
            session.execute(
                insert(Job),
                [
                    {
                        **columns, "id": str(uuid.uuid4()), "app": app, "provider": provider,
                        "priority": 6, "options": {}, "fingerprint": "0" * 64,
                        "idempotency_key": None if number % 10 else f"key-{number}",
                        "accepted_at": now - timedelta(seconds=count - number),
                        "ended_at": now - timedelta(seconds=count - number),
                    }
                    for number in range(begin, min(count, begin + CHUNK))
                ],
            )  # fmt: skip
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def accept_in_every_way(gateway: Gateway, provider: str, app: str) -> None:
    """Accept, repeat, refuse, cancel and retry; the provider is paused at the end."""
    dataset = (provider, "students")
    key, task = f"once-{uuid.uuid4()}", str(uuid.uuid4())
    for _ in range(2):
        gateway.sync(*dataset, app=app)
        gateway.sync(*dataset, app=app, job_id=task)
        gateway.sync(*dataset, app=app, idempotency_key=key)
        gateway.enqueue_request(provider, "GET", "/x", idempotency_key=key)
    with suppress(IdempotencyConflict):
        gateway.sync(*dataset, app=app, mode="full", idempotency_key=key)
    with suppress(IdempotencyConflict):
        gateway.sync(*dataset, app=app, mode="full", job_id=task)
    with suppress(IdempotencyConflict):
        gateway.sync(*dataset, app=app, job_id=task, idempotency_key=key)
    refused = str(uuid.uuid4())
    for _ in range(2):
        gateway.jobs.refuse(refused, provider, "cafeteria", app, UsageError("No such resource."))
    gateway.jobs.retry(refused)
    gateway.jobs.status(task)
    gateway.jobs.cancel(task)
    with gateway.context.database.read() as session:
        job_search.taken_by(session, app.removeprefix("schedule/"), ["slot/students"])
    gateway.providers.control(provider).pause(actor="test")
    for choice in ("stale", "fail"):
        for resource in ("students", "orgs"):
            with suppress(SisgateError):
                gateway.sync(provider, resource, app=app, on_unavailable=choice)
        with suppress(SisgateError):
            gateway.enqueue_request(provider, "GET", "/x", on_unavailable=choice)
