"""Planted secrets and names are where they belong and nowhere else.

A worker at DEBUG, beat and Flower go through good and bad answers and the death of a worker. Then
Redis and its file, logs, events, Flower, the command line and the database are searched.
"""

import base64
import binascii
import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis
from sqlalchemy import select, text

from sisgate.cli.main import execute
from sisgate.embedded.redis_conf import free_port
from sisgate.embedded.redis_server import EmbeddedRedis
from sisgate.errors import SisgateError
from sisgate.ledger.schema import Base
from testbed.flower import FlowerPages
from testbed.stack import Stack, kill_session, wait_until
from tests.acceptance.privacy.leaky import LeakyProvider

SECRET = "canary-client-secret-Zq81"
TOKEN = "canary-access-token-Xw72"
GIVEN, FAMILY = "Kanarienna", "Vogelsangova"
MAIL = "kanarienna.v@canary.example"
IN_BODY, IN_PATH = "Bodycanaria", "Pathcanaria"
STUDENT = {
    "sourcedId": "stu-canary-1",
    "givenName": GIVEN,
    "familyName": FAMILY,
    "email": MAIL,
    "role": "student",
    "orgs": [],
}
NAMES = (GIVEN, FAMILY, MAIL, IN_BODY, IN_PATH)
NAME = "leaky"
BASE64 = re.compile(rb"[A-Za-z0-9+/]{16,}")


class Overheard:
    """Everything that is published in a Redis: Celery's events go that way."""

    def __init__(self, url: str) -> None:
        self.said: list[bytes] = []
        self._pubsub = redis.Redis.from_url(url).pubsub()
        self._pubsub.psubscribe("*")
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._enough.is_set():
            message = self._pubsub.get_message(timeout=0.2)
            if message is not None:
                self.said.append(repr(message).encode())

    def stop(self) -> bytes:
        """Hear no more; return what was heard."""
        self._enough.set()
        self._thread.join(10)
        self._pubsub.close()
        return b"\n".join(self.said)


@pytest.fixture
def leaky() -> Iterator[LeakyProvider]:
    """The provider."""
    provider = LeakyProvider(token=TOKEN, student=STUDENT)
    yield provider
    provider.stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis with its append-only file."""
    server = EmbeddedRedis(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def overheard(broker: EmbeddedRedis) -> Iterator[Overheard]:
    """What is said from now on."""
    ear = Overheard(broker.url)
    yield ear
    ear.stop()


@pytest.fixture
def stack(tmp_path: Path, leaky: LeakyProvider, broker: EmbeddedRedis) -> Iterator[Stack]:
    """A ledger and configuration around that provider; no process yet."""
    district = SimpleNamespace(
        kind="oneroster",
        url=leaky.url,
        token_url=f"{leaky.url}/token",
        oneroster_base=f"{leaky.url}/ims/oneroster/rostering/v1p2",
        client_id="canary-client",
        client_secret=SECRET,
    )
    made = Stack(
        tmp_path,
        cast(Any, SimpleNamespace(districts={NAME: district})),
        redis_url=broker.url,
        database_url=f"sqlite:///{tmp_path / 'sisgate.db'}",
        options={NAME: {"timeout_seconds": 20}},
    )
    yield made
    made.stop()


def start(stack: Stack) -> Any:
    """Start a worker that says all it can."""
    words = ("-Q", f"sisgate,{NAME}", "-c", "2", "-E", "-l", "DEBUG")
    return stack.spawn("worker", *words, "-n", f"w{len(stack.processes_of('worker'))}@%h")


def go_through_everything(stack: Stack, leaky: LeakyProvider) -> None:
    """Good and bad answers to syncs and requests, and the death of a worker in a request."""
    worker = start(stack)
    stack.spawn("beat", "-s", str(stack.folder / "beat"), "-l", "DEBUG")
    assert stack.sync(NAME, "students").inserted == 1
    ask = ("POST", f"/users/{IN_PATH}")
    words: Any = {"json": {"givenName": IN_BODY}, "query": {"q": IN_PATH}}
    answer = stack.gateway.request(NAME, *ask, timeout=30.0, **words)
    assert IN_BODY in answer.text
    for mode in ("malformed", "broken"):
        leaky.mode = mode
        job = stack.gateway.sync(NAME, "students", mode="full")
        wait_until(lambda job=job: tries_of(stack, job.id) > 0, f"a failure of a {mode} page")
        job.cancel()
    with pytest.raises(SisgateError) as failed:
        stack.gateway.request(NAME, *ask, timeout=3.0, **words)
    assert_clean("an error", f"{failed.value!r} {failed.value.as_dict()}".encode())
    leaky.mode = "stuck"
    stuck = stack.gateway.enqueue_request(NAME, *ask, **words)
    wait_until(leaky.stuck.is_set, "the request that is stuck")
    kill_session(worker)
    leaky.mode = "good"
    start(stack)
    assert stack.sync(NAME, "students").complete
    stuck.cancel()


def tries_of(stack: Stack, job_id: str) -> int:
    """How many failures the calls of a job have spent."""
    with stack.gateway.context.database.read() as session:
        query = text("SELECT coalesce(max(tries), 0) FROM calls WHERE job_id = :job")
        return int(session.execute(query, {"job": job_id}).scalar_one())


def secrets_of(stack: Stack) -> list[str]:
    """What must be nowhere: also as it would stand in a header, and the master key itself."""
    basic = base64.b64encode(f"canary-client:{SECRET}".encode()).decode()
    master = (stack.folder / "master.key").read_text().strip()
    return [SECRET, TOKEN, basic, master]


def revealed(content: bytes) -> bytes:
    """Return it with all that stands in it as base64, as the bodies of Celery's messages do."""
    found = [content]
    for run in BASE64.findall(content):
        with suppress(binascii.Error):
            found.append(base64.b64decode(run + b"=" * (-len(run) % 4)))
    return b"\n".join(found)


def assert_clean(where: str, content: bytes, *more: str) -> None:
    """Fail with what was found and where."""
    content = revealed(content)
    for canary in (SECRET, TOKEN, *NAMES, *more):
        place = content.find(canary.encode())
        assert place < 0, f"{canary} in {where}: …{content[max(0, place - 200) : place + 80]!r}"


def in_redis(url: str) -> bytes:
    """Every key with its value, of whatever type."""
    client = redis.Redis.from_url(url)
    readers: dict[Any, Any] = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        # It has run out since it was listed.
        b"none": lambda _key: None,
    }
    found = [(key, readers[client.type(key)](key)) for key in client.scan_iter(count=1000)]
    assert len(found) > 3
    return repr(found).encode()


def in_flower(stack: Stack, port: int) -> bytes:
    """Flower's pages and its API, those of each task and worker too, and what it remembers."""
    flower = FlowerPages(f"http://127.0.0.1:{port}", stack.folder)

    def get(path: str) -> bytes:
        return flower.get(path)[1].encode()

    wait_until(lambda: get("/healthcheck") == b"OK", "Flower")
    # Events of before Flower listened are lost to it; these are not.
    stack.sync(NAME, "students", mode="full")
    wait_until(lambda: b"sisgate.call" in get("/api/tasks?limit=10000"), "Flower's tasks")
    pages = ["/api/workers?refresh=1", "/api/tasks?limit=10000", "/workers", "/tasks", "/broker"]
    pages += [f"/task/{task}" for task in list(json.loads(get("/api/tasks?limit=50")))[:10]]
    pages += ["/metrics", "/api/queues/length", "/api/task/types"]
    return b"\n".join(map(get, pages))


def in_tables(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Each table's cells, without the two columns that may hold names."""
    with stack.gateway.context.database.read() as session:
        for table in Base.metadata.sorted_tables:
            columns = [c for c in table.columns if (table.name, c.name) not in MAY_HOLD_NAMES]
            rows = session.execute(select(*columns)).all()
            yield table.name, repr([tuple(row) for row in rows]).encode()


MAY_HOLD_NAMES = {("records", "data"), ("records", "original")}


def test_secrets_and_names_are_nowhere_but_in_records(
    stack: Stack,
    leaky: LeakyProvider,
    broker: EmbeddedRedis,
    overheard: Overheard,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing in Redis, logs, events, Flower, errors or the command line; no secret on disk."""
    api_token = stack.gateway.tokens.add("canary", ["admin"]).token
    assert api_token is not None
    port = free_port()
    stack.spawn("flower", "--address=127.0.0.1", f"--port={port}", "-l", "DEBUG")
    go_through_everything(stack, leaky)
    flower = in_flower(stack, port)
    heard = overheard.stop()
    secrets = [*secrets_of(stack), api_token.get_secret_value()]

    # What was planted did go round: otherwise nothing is shown by not finding it.
    seen = "\n".join(leaky.seen)
    assert all(canary in seen for canary in (TOKEN, secrets[2], IN_BODY, IN_PATH))
    assert b"task-succeeded" in revealed(heard)

    assert_clean("Flower", flower, *secrets)
    assert_clean("events", heard, *secrets)
    assert_clean("Redis", in_redis(broker.url), *secrets)
    for file in sorted((tmp_path / "redis").rglob("*")):
        if file.is_file():
            assert_clean(f"Redis's {file.name}", file.read_bytes(), *secrets)
    assert_clean("the log", stack.log_path.read_bytes(), *secrets)

    for name, value in stack.environment().items():
        if name.startswith("SISGATE_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("SISGATE_TOKEN", api_token.get_secret_value())
    capfd.readouterr()
    listed = [["jobs", "show", status.id] for status in stack.gateway.jobs.list()]
    for words in (*listed, ["jobs", "list"], ["keys", "list"], ["tokens", "list"], ["doctor"]):
        execute([*words])
        execute([*words, "--json"])
    leaky.mode = "broken"
    execute(["request", NAME, "POST", "/x", "--data", "{", "--timeout", "1"])
    said = capfd.readouterr()
    assert "students" in said.out
    # What a request asks is shown to whoever may read the provider, and to nobody else.
    shown = re.compile(r"request +POST /users/.*|\"request\": \{[^}]*\}")
    assert shown.search(said.out)
    assert_clean("the command line", shown.sub("", said.out + said.err).encode(), *secrets)

    for table, cells in in_tables(stack):
        assert_clean(f"the table {table}", cells, *secrets)
    stack.stop()
    for file in tmp_path.glob("sisgate.db*"):
        content = file.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content, f"a secret in {file.name}"
        assert not any(name.encode() in content for name in (IN_BODY, IN_PATH)), file.name
