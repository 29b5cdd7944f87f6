"""What all tests share: real servers, one of each per run, clean for every test that asks."""

import gc
import socket
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from sisgate.redis.client import RedisClient, connect
from testbed.clock import ManualClock
from testbed.ledgers import Ledgers
from testbed.postgres import PostgresServer
from testbed.redis import RedisServer
from testbed.redis_keys import unlisted_of_ours
from tests.turns import Scheduler, stack_of, turn

# Times on a shared machine say nothing about the code; a failure prints how to run it again.
hypothesis.settings.register_profile(
    "ci", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
# For `make test-fast`: what a first look needs. `.ci/run` draws the full number.
hypothesis.settings.register_profile("fast", hypothesis.settings.get_profile("ci"), max_examples=15)
hypothesis.settings.load_profile("ci")

UNIT = Path(__file__).parent / "unit"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no core is idle while the last test runs alone."""
    items.sort(key=turn)
    for item in items:
        if hypothesis.is_hypothesis_test(getattr(item, "obj", None)):
            # It passes the same lines a hundred times, and counting them takes twice its time.
            item.add_marker(pytest.mark.no_cover)
        if config.pluginmanager.hasplugin("xdist") and (stack := stack_of(item)):
            item.add_marker(pytest.mark.xdist_group(stack))


def pytest_collection_finish() -> None:
    """Leave what stays for the whole run out of each look for garbage: a third of a million."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduler:
    """Give a worker a file, or all tests of a stack that files share."""
    return Scheduler(config, log)


@pytest.fixture(autouse=True)
def _unit_tests_open_no_socket(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit test that talks to a server is in the wrong folder."""
    if not request.path.is_relative_to(UNIT):
        return

    def refuse(_self: socket.socket, address: object) -> None:
        pytest.fail(f"a unit test connects to {address}: it belongs in tests/integration")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The Redis of this run. Tests take `redis_url`."""
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> Iterator[str]:
    """URL of an empty Redis. What a test leaves there stands in the list of keys."""
    redis_server.wipe()
    yield redis_server.url
    with connect(redis_server.url) as client:
        assert unlisted_of_ours(client) == []


@pytest.fixture
def redis(redis_url: str) -> Iterator[RedisClient]:
    """A client of an empty Redis."""
    with connect(redis_url) as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    """Time that moves only when the test moves it."""
    return ManualClock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL of this run. Tests take `postgres_url`."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """SQLAlchemy URL of an empty PostgreSQL database of this test's own."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """SQLAlchemy URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLAlchemy URL of an empty database: the test runs once for each kind."""
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(fixture)
    return url


@pytest.fixture(scope="session")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Ledgers:
    """The ledgers of this run. Tests take `ledger_url`."""
    return Ledgers(tmp_path_factory.mktemp("ledgers"))


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, ledgers: Ledgers, tmp_path: Path) -> str:
    """SQLAlchemy URL of a ledger with all tables and no rows: the test runs once for each kind."""
    if request.param == "sqlite":
        return ledgers.sqlite(tmp_path / "ledger.sqlite3")
    return ledgers.postgres(request.getfixturevalue("postgres_server"))
