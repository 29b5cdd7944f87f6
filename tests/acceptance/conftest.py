"""What the acceptance tests share: small districts of every kind, and the processes around them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sisgate.redis.client import connect
from sisgate.sandbox.process import SandboxProcess
from sisgate.sandbox.spec import DistrictSpec, SandboxSpec
from testbed.fleet import Fleet, MakeFleet
from testbed.mortal import MortalRedis
from testbed.postgres import PostgresServer
from testbed.recorder import Recorder
from testbed.redis import RedisServer
from testbed.redis_keys import unlisted
from testbed.stack import Stack, running

STUDENTS = 130
DISTRICTS = (
    DistrictSpec("powerschool", "powerschool", students=STUDENTS, quota=None),
    DistrictSpec(
        "slow_powerschool",
        "powerschool",
        students=30,
        quota=None,
        knobs={"plugin_installed": False},
    ),
    DistrictSpec("infinite_campus", "infinite_campus", students=STUDENTS, quota=None),
    DistrictSpec("skyward", "skyward", students=STUDENTS, quota=None),
    DistrictSpec("oneroster", "oneroster", students=STUDENTS, quota=None),
)
OPTIONS: dict[str, dict[str, Any]] = {
    "oneroster": {"page_size": 40},
    "powerschool": {"timeout_seconds": 5},
    "skyward": {"auth": "oauth2-body", "breaker": {"open_seconds": 1.0, "open_cap_seconds": 1.0}},
    "slow_powerschool": {"retry": {"tries": 2, "base_seconds": 0.1}},
}


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A provider that notes what it is asked. `breakers` has one that can be down."""
    server = Recorder()
    yield server
    server.stop()


@pytest.fixture
def make_fleet(tmp_path: Path, redis_url: str, recorder: Recorder) -> Iterator[MakeFleet]:
    """Make a fleet of the providers given as name and lines of configuration; it ends by itself."""
    with contextlib.ExitStack() as fleets:

        def make(*, url: str = redis_url, **providers: str) -> Fleet:
            fleet = fleets.enter_context(Fleet(tmp_path, url, recorder, providers))
            fleet.begin_counting()
            return fleet

        yield make


@pytest.fixture
def mortal_redis() -> Iterator[MortalRedis]:
    """A Redis of this test's own, which it may kill."""
    server = MortalRedis()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxProcess]:
    """The districts of this run. A test takes one of them by `stack.fresh`."""
    with SandboxProcess(SandboxSpec(districts=DISTRICTS)) as process:
        yield process


@contextlib.contextmanager
def _running_stack(folder: Path, sandbox: SandboxProcess, database_url: str) -> Iterator[Stack]:
    redis = RedisServer()
    try:
        made = Stack(
            folder, sandbox, redis_url=redis.url, database_url=database_url, options=OPTIONS
        )
        with running(made):
            yield made
        with connect(redis.url) as client:
            assert unlisted(client, made.settings.providers) == []
    finally:
        redis.stop()


@pytest.fixture(scope="package")
def sqlite_stack(
    tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxProcess
) -> Iterator[Stack]:
    """A running stack on SQLite, shared by the tests that disturb nobody."""
    folder = tmp_path_factory.mktemp("sqlite")
    with _running_stack(folder, sandbox, f"sqlite:///{folder / 'ledger.sqlite3'}") as made:
        yield made


@pytest.fixture(scope="package")
def postgres_stack(
    tmp_path_factory: pytest.TempPathFactory,
    sandbox: SandboxProcess,
    postgres_server: PostgresServer,
) -> Iterator[Stack]:
    """The same on PostgreSQL."""
    url = postgres_server.url(postgres_server.create_database())
    with _running_stack(tmp_path_factory.mktemp("postgresql"), sandbox, url) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """A running stack: the test runs once on each kind of database."""
    name = "sqlite_stack" if request.param == "sqlite" else "postgres_stack"
    made: Stack = request.getfixturevalue(name)
    return made
