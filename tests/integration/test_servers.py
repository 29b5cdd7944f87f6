"""The servers that the tests run against: they start, are clean, and die with the run."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import redis
import sqlalchemy

from sisgate.clock import SystemClock, poll_until
from sisgate.ledger.schema import AuditEvent, Base
from testbed.ledgers import Ledgers, differences
from testbed.postgres import PostgresServer, copied_wheel, wheel_binaries
from testbed.process import LeashedServer, ServerDidNotStart, server_folder

ROOT = Path(__file__).parents[2]
SOME_EVENT = sqlalchemy.insert(AuditEvent).values(
    writer=1, at=datetime(2026, 9, 1, tzinfo=UTC), actor="a", action="b", subject="c", mac=bytes(32)
)


@pytest.mark.parametrize("turn", [1, 2])
def test_redis_is_empty_for_every_test(redis_url: str, turn: int) -> None:
    """What the first turn leaves behind, the second does not see."""
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left-behind", turn)


@pytest.mark.parametrize("turn", [1, 2])
def test_database_is_empty_for_every_test(database_url: str, turn: int) -> None:
    """Each turn creates the same table, on SQLite and on PostgreSQL."""
    engine = sqlalchemy.create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE left_behind (turn integer)"))
    engine.dispose()


@pytest.mark.parametrize("turn", [1, 2])
def test_ledger_has_all_tables_and_no_rows_for_every_test(ledger_url: str, turn: int) -> None:
    """Each turn writes what the audit log keeps from being deleted."""
    engine = sqlalchemy.create_engine(ledger_url)
    with engine.connect() as connection:
        assert differences(connection) == []
        for table in Base.metadata.sorted_tables:
            assert connection.execute(sqlalchemy.select(table)).all() == []
    with engine.begin() as connection:
        connection.execute(SOME_EVENT.values(number=turn))
    engine.dispose()


def test_ledger_is_empty_whatever_a_test_left_open(
    ledgers: Ledgers, postgres_server: PostgresServer
) -> None:
    """A transaction that still holds its locks is ended."""
    engine = sqlalchemy.create_engine(ledgers.postgres(postgres_server))
    with engine.begin() as connection:
        connection.execute(SOME_EVENT.values(number=1))
    with engine.connect() as left_open:
        left_open.execute(SOME_EVENT.values(number=2))
        ledgers.postgres(postgres_server)
        left_open.invalidate()
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.select(AuditEvent)).all() == []
    engine.dispose()


def test_database_can_be_copied_from_a_template(postgres_server: PostgresServer) -> None:
    """A copy has the template's tables and rows."""
    template = postgres_server.create_database()
    libpq_url = postgres_server.url(template).replace("+psycopg", "")
    with psycopg.connect(libpq_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE school AS SELECT 7 AS id")
    connection.close()
    copy = postgres_server.create_database(template)
    with psycopg.connect(postgres_server.url(copy).replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT id FROM school").fetchall() == [(7,)]
    connection.close()
    postgres_server.drop_database(copy)
    postgres_server.drop_database(template)


def test_server_that_does_not_start_fails_with_its_log() -> None:
    """Neither a skip nor a time-out: the words of the server."""
    server = LeashedServer(["/bin/sh", "-c", "echo no luck; exit 3"], folder=server_folder())
    with pytest.raises(ServerDidNotStart, match="no luck"):
        server.wait_ready(lambda: False)
    assert not server.folder.exists()


def test_wheel_runs_from_a_copy(tmp_path: Path) -> None:
    """As root, a wheel inside a closed home is copied to where another user may run it."""
    if (wheel := wheel_binaries()) is None:
        assert sys.version_info >= (3, 13), "make setup installs the wheel on this Python"
        return
    copy = copied_wheel(wheel, tmp_path)
    shown = subprocess.run([copy / "postgres", "--version"], capture_output=True, check=True)
    assert shown.stdout.startswith(b"postgres (PostgreSQL)")


def test_servers_die_with_a_killed_run(tmp_path: Path) -> None:
    """After SIGKILL of the process that started them neither servers nor folders remain."""
    program = (
        "import sys\n"
        "from testbed.postgres import PostgresServer\n"
        "from testbed.redis import RedisServer\n"
        "servers = [PostgresServer(), RedisServer()]\n"
        "print(*(s._server.folder for s in servers), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        folders = [Path(word) for word in run.stdout.readline().decode().split()]
        assert [folder.exists() for folder in folders] == [True, True]
        os.kill(run.pid, signal.SIGKILL)
    # A leash removes the folder after its server has ended.
    assert poll_until(
        lambda: not any(folder.exists() for folder in folders),
        clock=SystemClock(),
        timeout_seconds=30,
    )
