"""A full roster is cheap: at most a quarter of what the provider allows in an hour."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest

from sisgate.domain.rates import Rate
from sisgate.domain.records import ROSTER
from sisgate.providers.kinds import DIALECTS
from sisgate.sandbox.process import SandboxProcess
from sisgate.sandbox.spec import DistrictSpec, SandboxSpec
from testbed.redis import RedisServer
from testbed.stack import PATIENCE_SECONDS, Stack, running

KINDS: tuple[Literal["powerschool", "infinite_campus", "skyward"], ...] = (
    "powerschool",
    "infinite_campus",
    "skyward",
)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Stack]:
    """A stack around three districts of 4,000 students, each with its kind's default limit."""
    folder = tmp_path_factory.mktemp("quota")
    specs = tuple(DistrictSpec(kind, kind, students=4000, quota="kind") for kind in KINDS)
    redis_server.wipe()
    with SandboxProcess(SandboxSpec(districts=specs)) as sandbox:
        options: dict[str, dict[str, Any]] = {
            kind: {"limit": DIALECTS[kind].default_limit, "burst": 250} for kind in KINDS
        }
        url = f"sqlite:///{folder / 'ledger.sqlite3'}"
        stack = Stack(
            folder, sandbox, redis_url=redis_server.url, database_url=url, options=options
        )
        with running(stack):
            yield stack


def test_a_roster_of_4000_students_costs_a_quarter_of_an_hour_at_most(big: Stack) -> None:
    """Counted by the sandbox, which has refused nothing."""
    jobs = [big.gateway.sync(kind, each, mode="full") for each in ROSTER for kind in KINDS]
    for job in jobs:
        status = job.wait(3 * PATIENCE_SECONDS)
        assert (status.state, status.complete) == ("done", True), status
    for kind in KINDS:
        stats = big.sandbox.stats(kind)
        limit = Rate.parse(DIALECTS[kind].default_limit).calls
        assert stats["violations"] == stats["throttled"] == 0
        assert stats["arrivals"] <= limit / 4, kind
        assert len(big.ids(kind, "students")) == 4000
