"""The whole fleet on a Redis that speaks TLS only and wants client certificates."""

from pathlib import Path
from urllib.parse import urlsplit

import requests

from sisgate.domain.network import TlsFault
from sisgate.sandbox import SandboxProcess
from testbed.stack import PATIENCE_SECONDS, wait_until
from testbed.tls import Authority, TlsProxy, server_context
from tests.acceptance.cli.command import Command
from tests.acceptance.cli.conftest import add_key


def test_every_program_speaks_tls_and_doctor_finds_all_well(
    command: Command, sandbox: SandboxProcess, redis_url: str, tmp_path: Path
) -> None:
    """Worker, beat, Flower, `up`, commands and an app: no plain text, no refused handshake."""
    authority = Authority(tmp_path)
    ours = authority.issue("sisgate")
    context = server_context(authority.issue("localhost"), clients_of=authority)
    with TlsProxy(urlsplit(redis_url).port or 0, context) as redis:
        command.environment |= {
            "SISGATE_BROKER_URL": f"rediss://localhost:{redis.port}/0",
            "SISGATE_BROKER_CA_FILE": str(authority.file),
            "SISGATE_BROKER_CLIENT_CERT": str(ours),
        }
        command.up()
        for name in ("powerschool", "skyward"):
            add_key(command, sandbox, name)
        words = ("--wait", "--timeout", str(PATIENCE_SECONDS))
        (job,) = command.json("sync", "skyward", "orgs", *words)
        assert job["state"] == "done"
        # Planner, beat and worker are seen by what they leave in Redis, and it has no other port.
        wait_until(lambda: "fail" not in grades(command).values(), "all to be well")
        assert grades(command)["redis"] == "ok"
        assert shown_by_flower(command) == 200
        assert command.down() == 0
        assert (redis.plain, redis.refused) == ([], [])


def test_without_the_authority_nothing_is_said_to_redis(
    command: Command, redis_url: str, tmp_path: Path
) -> None:
    """`up` and `doctor` say which setting is missing; the password has not left."""
    context = server_context(Authority(tmp_path).issue("localhost"))
    with TlsProxy(urlsplit(redis_url).port or 0, context) as redis:
        url = f"rediss://:swordfish@localhost:{redis.port}/0"
        command.environment["SISGATE_BROKER_URL"] = url
        command.up("--workers", "1")
        before = len(redis.refused)
        wait_until(lambda: len(redis.refused) > before + 2, "its children")
        findings = command.json("doctor", code=1)["findings"]
        finding = next(f for f in findings if f["subject"] == "redis")
        assert TlsFault.UNKNOWN_AUTHORITY.value in finding["what"]
        assert "SISGATE_BROKER_CA_FILE" in finding["remedy"]
        assert (redis.plain, redis.accepted) == ([], 0)
    log = (command.folder.parent / "up.log").read_text()
    assert TlsFault.UNKNOWN_AUTHORITY.value in log
    assert "swordfish" not in log


def grades(command: Command) -> dict[str, str]:
    """Return what `doctor` finds, by subject."""
    return {f["subject"]: f["grade"] for f in command.json("doctor")["findings"]}


def shown_by_flower(command: Command) -> int:
    """Return the status of Flower's page of queues, which it reads from Redis."""
    up = (command.folder / "up.json").read_text()
    (flower,) = [word for word in up.split('"') if word.startswith("http://")]
    user, _, password = (command.folder / "flower-password.txt").read_text().strip().partition(":")
    return requests.get(f"{flower}/broker", auth=(user, password), timeout=30).status_code
