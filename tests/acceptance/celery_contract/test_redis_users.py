"""The users of Redis that docs/how-to/run-redis.md describes can do their work, and no more."""

import contextlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from pydantic import SecretStr
from redis.exceptions import NoPermissionError

from sisgate import Gateway
from sisgate.sandbox import SandboxProcess
from testbed.redis import RedisServer
from testbed.stack import PATIENCE_SECONDS, Stack, running, wait_until
from tests.acceptance.celery_contract.test_sync_by_name import ended

ROOT = Path(__file__).parents[3]
NAME = "skyward"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis with the documented users; the tests themselves come as `default`."""
    made = RedisServer()
    (block,) = re.findall(
        r"```acl\n(.*?)```",
        (ROOT / "docs" / "how-to" / "run-redis.md").read_text("utf-8"),
        re.DOTALL,
    )
    with redis.Redis.from_url(made.url) as admin:
        if admin.info("server")["redis_version"] < "7.2":
            block = block.replace("+client|setinfo", "")  # as the page says of Redis 7.0
        for line in block.replace("PROVIDER", NAME).splitlines()[1:]:
            _, name, *rules = line.split()
            admin.execute_command("ACL", "SETUSER", name, *rules)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def urls(server: RedisServer) -> Mapping[str, str]:
    """The URL of each user."""
    at = urlsplit(server.url).netloc
    words = {"fleet": "FLEET", "gateway": "GATEWAY", "pushes": "PUSH"}
    return {user: f"redis://{user}:{word}_PASSWORD@{at}/0" for user, word in words.items()}


@pytest.fixture(scope="module")
def stack(
    urls: Mapping[str, str], sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Workers and beat as the user `fleet`."""
    folder = tmp_path_factory.mktemp("users")
    ledger = f"sqlite:///{folder}/ledger.sqlite3"
    made = Stack(folder, sandbox, redis_url=urls["fleet"], database_url=ledger)
    with running(made):
        yield made


def refused(server: RedisServer) -> list[tuple[str, str]]:
    """Return who was refused what since the last look."""
    with redis.Redis.from_url(server.url, decode_responses=True) as admin:
        found = [(entry["username"], entry["object"]) for entry in admin.acl_log()]
        admin.acl_log_reset()
    return found


def test_the_fleet_and_an_app_with_the_gateway_are_refused_nothing(
    stack: Stack, server: RedisServer, urls: Mapping[str, str]
) -> None:
    """What an app calls most needs no script."""
    settings = stack.settings.model_copy(update={"broker_url": SecretStr(urls["gateway"])})
    with contextlib.closing(Gateway(settings)) as gateway:
        assert gateway.sync(NAME, "orgs").wait(timeout=PATIENCE_SECONDS).state == "done"
        answer = gateway.request(NAME, "GET", "/ims/oneroster/v1p2/orgs", timeout=30)
        assert answer.status == 200
        assert list(gateway.records(NAME, "orgs"))
        # Beat may not have sent anything yet: a sync needs none where all goes well.
        wait_until(lambda: not gateway.fleet.liveness().stopping(NAME), "the heartbeats of all")
        gateway.jobs.cancel(gateway.sync(NAME, "students").id)
    assert refused(server) == []


def test_a_celery_app_that_may_only_push_gets_its_syncs(
    stack: Stack, server: RedisServer, urls: Mapping[str, str]
) -> None:
    """At every priority, with one command and two lines more of configuration."""
    program = Path(__file__).with_name("pushing_app.py")
    sent = subprocess.run(
        [sys.executable, "-I", program, urls["pushes"]],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert [ended(stack, task).state for task in sent.stdout.split()] == ["done"] * 4
    assert refused(server) == []


@pytest.mark.parametrize("user", ["gateway", "pushes"])
@pytest.mark.parametrize(
    "command",
    [
        "EVAL 'return 1' 0",
        "EVALSHA 0000000000000000000000000000000000000000 0",
        "SCRIPT LOAD 'return 1'",
        "FUNCTION LIST",
        "CONFIG GET *",
        "KEYS *",
        "SCAN 0",
        "FLUSHALL",
        "ACL LIST",
        "CLIENT LIST",
        "MONITOR",
        "RPOP sisgate",
        "LRANGE sisgate 0 -1",
        "HGETALL sisgate:1:limits",
        "LPUSH unacked x",
        "SELECT 1",
    ],
)
def test_an_app_cannot_run_scripts_administer_or_read_messages(
    urls: Mapping[str, str], user: str, command: str
) -> None:
    """Whatever faults a server's Lua has, an app does not reach them."""
    with redis.Redis.from_url(urls[user]) as client, pytest.raises(NoPermissionError):
        client.execute_command(*shlex.split(command))
