"""What is down is told, and nothing is done that could not be accounted for."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import event, func, select

from sisgate.errors import DatabaseUnavailable
from sisgate.ledger import schema as tables
from sisgate.ledger.attempts import was_sent
from testbed.clock import ManualClock
from tests.faults.fleet import CLOCK, Fleet
from workers.calls import execute
from workers.runtime import Runtime

COUNT = 5


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One fleet on PostgreSQL, which has made a call."""
    with Fleet(tmp_path_factory.mktemp("fleet"), "postgresql") as made:
        made.ask("GET", "requests", "/first")
        made.wait(lambda: made.provider.calls_of("requests")["/first"] == 1, "the first call")
        yield made


def ask(fleet: Fleet, word: str) -> list[str]:
    """Have the app ask for some calls, and return their paths when it has its answers."""
    paths = [f"/{word}/{number}" for number in range(COUNT)]
    lines = fleet.book.lines + COUNT
    for path in paths:
        fleet.ask("GET", "requests", path)
    fleet.wait(lambda: fleet.book.lines == lines, "the app has its answers")
    return paths


def made(fleet: Fleet, paths: list[str]) -> list[int]:
    """Return how often each path was called."""
    seen = fleet.provider.calls_of("requests")
    return [seen[path] for path in paths]


def test_without_redis_work_is_accepted_and_nothing_is_called(fleet: Fleet) -> None:
    """No permit can be had. The work is done when Redis is back."""
    fleet.redis.kill()
    paths = ask(fleet, "without-redis")
    assert fleet.book.refused == 0
    fleet.wait(
        lambda: all("Connection to broker lost" in worker.log for worker in fleet.workers),
        "the workers have tried",
    )
    assert made(fleet, paths) == [0] * COUNT
    fleet.redis.start()
    fleet.wait(lambda: made(fleet, paths) == [1] * COUNT, "the work is done")


def test_without_a_database_nothing_is_said_to_be_accepted(fleet: Fleet) -> None:
    """What was refused is not done later either."""
    assert fleet.postgres is not None
    fleet.postgres.kill()
    refused = ask(fleet, "without-database")
    assert fleet.book.refused == COUNT
    fleet.postgres.start()
    accepted = ask(fleet, "with-database")
    fleet.wait(lambda: made(fleet, accepted) == [1] * COUNT, "what was accepted is done")
    assert made(fleet, refused) == [0] * COUNT
    assert fleet.book.refused == COUNT


def test_on_a_full_disk_no_call_is_made_that_is_not_recorded(tmp_path: Path) -> None:
    """SQLite says that the disk is full; what the provider saw is in the ledger all the same."""
    with Fleet(tmp_path, "sqlite", runs=False) as fleet:
        provider, gateway = fleet.provider, fleet.gateway
        for number in range(300):
            gateway.enqueue_request("requests", "GET", f"/{number}")
        url = SecretStr(fleet.redis.url)
        settings = gateway.settings.model_copy(update={"broker_url": url})
        # A clock of its own: an outcome that cannot be written is tried again until the lease ends.
        runtime = Runtime(settings, ManualClock(CLOCK.now()))
        runtime.limiter.rebuild("requests", runtime.limits(settings.providers["requests"]), [])
        event.listen(runtime.database.engine, "connect", _fill)
        not_made = 0
        with gateway.context.database.read() as session:
            ids = list(session.scalars(select(tables.Call.id)))
        for call_id in ids:
            try:
                execute.make_call(runtime, settings.providers["calm"], call_id)
            except DatabaseUnavailable:
                not_made += 1
        with gateway.context.database.read() as session:
            recorded = session.scalar(
                select(func.count()).select_from(tables.Attempt).where(was_sent())
            )
        runtime.database.dispose()
        assert not_made > 0
        assert len(provider.seen) == recorded


def _fill(connection: Any, _record: Any) -> None:
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    assert isinstance(connection, sqlite3.Connection)
