"""A rotation that is killed at a step goes on, and no call lacks a working key meanwhile."""

import threading
from collections.abc import Iterator, Sequence
from itertools import product

import pytest
from sqlalchemy import func, select

from sisgate.ledger.schema import AuditEvent
from sisgate.sandbox.process import SandboxProcess
from sisgate.sandbox.spec import DistrictSpec, SandboxSpec
from testbed.redis import RedisServer
from testbed.rotating import MOMENTS, QUICK, STEPS, Load, Rotating
from testbed.stack import Stack

NAMES = ("one", "two", "three", "four", "five")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Workers and a beat that leaves rotation to the test."""
    folder = tmp_path_factory.mktemp("rotation")
    redis = RedisServer()
    districts = tuple(DistrictSpec(name, "skyward", students=5, quota=None) for name in NAMES)
    try:
        with SandboxProcess(SandboxSpec(districts)) as sandbox:
            made = Stack(
                folder,
                sandbox,
                redis_url=redis.url,
                database_url=f"sqlite:///{folder / 'ledger.sqlite3'}",
                options={name: dict(QUICK) for name in NAMES},
            )
            try:
                made.start_worker(concurrency=4)
                made.spawn_app("testbed.keys_app", "beat", "-s", str(folder / "beat"))
                yield made
            finally:
                made.stop()
    finally:
        redis.stop()


def in_threads(works: Sequence[tuple[Rotating, Sequence[tuple[str, str]]]]) -> list[str]:
    """Run rotations of several providers beside each other; return what went wrong."""
    wrong: list[str] = []

    def run(rotating: Rotating, kills: Sequence[tuple[str, str]]) -> None:
        try:
            for kill in kills:
                rotating.rotate(kill)
        except Exception as error:
            wrong.append(f"{rotating.name}: {error!r}")

    threads = [threading.Thread(target=run, args=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_a_rotation_killed_at_any_step_ends_and_fails_no_call(stack: Stack) -> None:
    """Each step once, before its commit and after it."""
    kills = list(product(STEPS, MOMENTS))
    rotating = [Rotating(stack, name) for name in NAMES]
    load = Load(stack, NAMES, pause_seconds=0.2)
    with load.running():
        share = len(kills) // len(NAMES)
        works = [(r, kills[n * share : (n + 1) * share]) for n, r in enumerate(rotating)]
        assert in_threads(works) == []
    assert sum(r.kills.total() for r in rotating) == len(kills)
    ended = load.ended()
    assert set(ended) == {"done"}, ended
    for each in rotating:
        # The provider accepts the active key only: what was replaced has been taken back.
        accepted = stack.sandbox.districts[each.name].control("POST", "/keys/revoke", {})
        assert each.keys.list()[0].client_id in accepted["accepted"]


def test_five_beats_rotate_once(stack: Stack) -> None:
    """Each step has one order, one canary, one promotion."""
    rotating = Rotating(stack, NAMES[0], beats=5)
    before = steps(stack)
    rotating.rotate()
    after = steps(stack)
    done = {act: after.get(act, 0) - before.get(act, 0) for act in after}
    assert {act: count for act, count in done.items() if count} == dict.fromkeys(STEPS, 1)


def steps(stack: Stack) -> dict[str, int]:
    """Return how often each step was written to the audit log for the first provider."""
    query = (
        select(AuditEvent.action, func.count())
        .where(AuditEvent.actor == "rotation", AuditEvent.subject == NAMES[0])
        .group_by(AuditEvent.action)
    )
    with stack.gateway.context.database.read() as session:
        return {action.rsplit(":", 1)[1]: count for action, count in session.execute(query)}
