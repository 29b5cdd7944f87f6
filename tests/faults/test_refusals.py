"""A Redis that answers and refuses ends no worker: it is as good as lost until it takes again."""

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.faults.fleet import Fleet

COUNT = 20
REFUSALS = {
    "out of memory": (["CONFIG SET maxmemory 1"], ["CONFIG SET maxmemory 0"]),
    "a replica": (["REPLICAOF 127.0.0.1 1"], ["REPLICAOF NO ONE"]),
    "no right": (["ACL SETUSER default -@write"], ["ACL SETUSER default +@all"]),
    "wrong type": (
        ["DEL unacked", "DEL unacked_index", "SET unacked x", "SET unacked_index x"],
        ["DEL unacked", "DEL unacked_index"],
    ),
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One fleet, which has made a call."""
    with Fleet(tmp_path_factory.mktemp("fleet"), "sqlite") as made:
        made.ask("GET", "requests", "/first")
        made.wait(lambda: made.provider.calls_of("requests")["/first"] == 1, "the first call")
        yield made


def run(redis: Redis, commands: list[str]) -> None:
    """Give Redis some commands."""
    for command in commands:
        redis.execute_command(*command.split())


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_worker_outlives_a_redis_that_refuses(fleet: Fleet, kind: str) -> None:
    """It connects again until Redis takes what it says; then the work is done."""
    refuse, accept = REFUSALS[kind]
    redis = fleet.gateway.context.redis
    paths = [f"/{kind.replace(' ', '-')}/{number}" for number in range(COUNT)]
    for path in paths[: COUNT // 2]:
        fleet.ask("GET", "requests", path)
    fleet.wait(lambda: fleet.provider.calls_of("requests")[paths[0]] == 1, "work has begun")
    sent = fleet.beats[0].log.count("Sending due task audit-seal")
    run(redis, refuse)
    for path in paths[COUNT // 2 :]:
        fleet.ask("GET", "requests", path)
    fleet.wait(
        lambda: fleet.beats[0].log.count("Sending due task audit-seal") >= sent + 5,
        "some seconds have passed",
    )
    run(redis, accept)
    fleet.wait(
        lambda: all(fleet.provider.calls_of("requests")[path] for path in paths), "all calls"
    )
    assert [worker.starts for worker in fleet.workers] == [1, 1], fleet.told()
    assert fleet.beats[0].starts == 1
