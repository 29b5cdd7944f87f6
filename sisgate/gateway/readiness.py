"""Whether a process can accept jobs, and whether somebody does the work: for load balancers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sisgate.context import Context
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.liveness.heartbeats import Fleet
from sisgate.redis.queues import PLANNER_QUEUE

CheckName = Literal["database", "schema", "broker", "workers", "beat"]

NEEDED_TO_ACCEPT: frozenset[CheckName] = frozenset({"database", "schema"})
"""Without Redis or workers jobs are accepted all the same, and wait."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked. `detail` says what was found, for those who operate it."""

    name: CheckName
    ok: bool
    detail: str


@dataclass(frozen=True)
class Readiness:
    """The result of all checks."""

    checks: Sequence[Check]

    @property
    def is_ready(self) -> bool:
        """Whether jobs can be accepted."""
        return all(check.ok for check in self.checks if check.name in NEEDED_TO_ACCEPT)

    @property
    def is_whole(self) -> bool:
        """Whether everything is there that jobs need."""
        return all(check.ok for check in self.checks)


def read_readiness(context: Context) -> Readiness:
    """Return the result of all checks. What is down is a result, not an error."""
    return Readiness([*_of_ledger(context), *_of_fleet(context)])


def _of_ledger(context: Context) -> Iterator[Check]:
    from sisgate.ledger import migrate  # alembic is slow to import and rarely needed

    try:
        version, newest = migrate.current(context.database), migrate.newest()
    except DatabaseUnavailable as error:
        yield Check("database", False, error.message)
        yield Check("schema", False, "unknown")
        return
    yield Check("database", True, "answers")
    detail = f"version {version}" if version == newest else f"version {version}, needs {newest}"
    yield Check("schema", version == newest, detail)


def _of_fleet(context: Context) -> Iterator[Check]:
    try:
        fleet = context.heartbeats.read()
    except BrokerUnavailable as error:
        yield Check("broker", False, error.message)
        yield Check("workers", False, "unknown")
        yield Check("beat", False, "unknown")
        return
    yield Check("broker", True, "answers")
    yield _workers(fleet, {PLANNER_QUEUE, *context.configuration.current().providers})
    beats = sum(each.kind == "beat" and each.is_alive for each in fleet.processes)
    detail = f"{beats} alive" if beats or not fleet.leader else f"{fleet.leader} does its duties"
    yield Check("beat", beats > 0 or fleet.leader is not None, detail)


def _workers(fleet: Fleet, queues: set[str]) -> Check:
    alive = [each for each in fleet.processes if each.kind == "worker" and each.is_alive]
    unserved = sorted(queues - {queue for each in alive for queue in each.queues})
    detail = f"{len(alive)} alive"
    if unserved:
        detail += f", none for {', '.join(unserved)}"
    return Check("workers", not unserved, detail)
