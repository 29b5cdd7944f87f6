"""Every command asks an HTTP service as well: the same screens, JSON and exit codes as here."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from sisgate.cli.invocation import Needs
from sisgate.cli.main import app, execute
from sisgate.clock import SystemClock, poll_until
from sisgate.gateway import Gateway
from sisgate.monitoring.counting import count_next
from sisgate.quarantine import Quarantine
from sisgate.settings import load_settings
from testbed.caller import Caller
from testbed.heartbeats import be_heard
from testbed.http_server import json_reply
from testbed.sis import Sis
from testbed.web_service import WebService
from tests.integration.screens.conftest import InstallHere

CONFIG = """
[providers.lincoln]
kind = "oneroster"
auth = "none"
allow_insecure = true
limit = "1000/h"
pool = "north"
[[providers.lincoln.endpoints]]
url = "URL"
[[providers.lincoln.transforms]]
name = "short"
path = "/grades"
asked = true
response.jmespath = "{name: name}"

[providers.adams]
kind = "powerschool"
[[providers.adams.endpoints]]
url = "https://sis.adams.test"

[schedules.nightly]
where = { kind = "oneroster" }
resources = ["students"]
cron = "0 2 * * *"

[objectives]
availability = 0.99

[alerts.channels.ops]
url_env = "OPS_ALERTS"

[alerts.rules.few-wait]
metric = "waiting"
below = 1000
severity = "critical"
"""

SHOWN = [
    "providers", "providers show lincoln", "limits show lincoln", "breaker", "breaker lincoln",
    "plan lincoln students", "why", "why lincoln", "why {done}", "dashboard", "metrics",
    "jobs list", "jobs list --provider adams", "jobs list state:failed", "jobs list --dead",
    "jobs show {dead}", "jobs show {done}", "jobs timeline {dead}",
    "jobs retry --dead --dry-run", "jobs retry state:failed --dry-run",
    "jobs cancel state:accepted --dry-run", "jobs retry {dead} --dry-run",
    "records lincoln students", "records lincoln students -f csv",
    "changes lincoln students", "record lincoln students s1", "feed lincoln students",
    "usage --by hour", "sla", "sla lincoln", "sla lincoln --month 2026-10",
    "alerts list", "alerts list --all", "alerts show {alert}", "alerts silences",
    "alerts channels", "errors list", "errors show {pattern}", "schedules list",
    "schedules show nightly", "webhooks list", "webhooks show {hook}", "webhooks deliveries {hook}",
    "webhooks events {poll}", "keys list", "keys usage adams", "keys masters", "tokens list",
    "quarantine list", "quarantine show {message}", "config check", "config diff",
    "config diff --from 1", "config history", "config show", "providers remove adams --dry-run",
    "providers edit lincoln limit=500/h --dry-run", "audit tail --action keys:",
    "audit search --action keys:", "audit disclosures lincoln/s1", "audit head",
    "audit public-key", "retention --dry-run", "transform test lincoln /grades --name short",
    "erase --provider lincoln --person s1 --dry-run", "doctor",
]  # fmt: skip
"""What only shows something, as words of a command."""

WRONG = [
    "providers show nowhere", "jobs show zz", "jobs list --provider nowhere",
    "sync lincoln studnts", "plan lincoln grades", "limits set lincoln many",
    "records nowhere students", "schedules show weekly", "errors show er_zz", "alerts show al_zz",
    "webhooks show wh_zz", "keys revoke adams zz", "tokens revoke none", "quarantine show zz",
    "config show 99", "jobs cancel {done}", "jobs retry {done}", "jobs deletions {done}",
    "jobs resolve {done} --as done", "breaker lincoln/9 open", "pause nowhere",
    "sla lincoln --month soon",
]  # fmt: skip
"""What cannot be done."""

DONE = [
    "sync lincoln students", "sync --where kind=oneroster students", "jobs cancel {waiting}",
    "jobs retry {dead}", "schedules run nightly",
    "limits set lincoln 2000/h", "limits set lincoln --reset", "pause lincoln", "resume lincoln",
    "breaker lincoln open", "breaker lincoln auto", "alerts ack {alert} --note seen",
    "alerts silence --rule few-wait --until 1h", "alerts unsilence {silence}",
    "errors resolve {pattern} --fixed-in 2", "errors reopen {pattern}",
    "webhooks add --poll --event job.ended --app gradebook", "webhooks edit {hook} --note x",
    "webhooks pause {hook}", "webhooks resume {hook}", "webhooks rotate-secret {hook}",
    "webhooks redeliver {hook} --dead", "webhooks remove {hook}",
    "keys add adams --client-id 7 --secret-file secret",
    "keys stage adams --client-id 8 --secret-file secret", "keys rotate adams",
    "keys promote adams {staged}", "keys rollback adams", "keys rewrap",
    "keys revoke adams {staged}", "tokens add ana --role viewer --scope lincoln/students",
    "tokens rotate {token}", "tokens revoke {token}", "quarantine drop {message}",
    "config apply changed.toml --yes", "config apply --first", "config rollback 1 --yes",
    "providers add monroe kind=powerschool url=https://sis.monroe.test --yes",
    "providers edit monroe limit=500/h --yes",
    "providers rename-endpoint monroe https://sis.monroe.test https://new.monroe.test --yes",
    "providers remove monroe --purge --yes", "audit seal", "audit export", "audit verify",
    "retention", "db restored --reason test",
    "erase --provider lincoln --person s1 --reason test",
]  # fmt: skip
"""What changes something, in this order."""

ELSEWHERE = {
    "request": "asks a provider: test_a_request_is_answered",
    "alerts test": "waits for a worker",
    "webhooks test": "waits for a worker",
    "quarantine requeue": "this message can never be handled",
}
"""Commands that are not in these lists."""

PATH = "/ims/oneroster/rostering/v1p2/students"
STUDENT = {
    "sourcedId": "s1", "status": "active", "dateLastModified": "2026-09-01T00:00:00Z",
    "givenName": "Ada", "familyName": "L", "enabledUser": "true", "role": "student",
    "username": "s1", "orgs": [],
}  # fmt: skip


@pytest.fixture
def gateway(tmp_path: Path, install_here: InstallHere) -> Iterator[Gateway]:
    """An installation in the working directory, whose fleet is heard of."""
    with Sis() as sis:
        sis.reply = lambda asked: (
            json_reply({"users": [STUDENT]}) if asked.path == PATH else json_reply({}, 404)
        )
        config = CONFIG.replace("URL", sis.url)
        (tmp_path / "changed.toml").write_text(config.replace("1000/h", "900/h"), encoding="utf-8")
        install_here(config)
        with_user = Gateway(load_settings(), clock=SystemClock(), user="ana")
        be_heard(with_user)
        yield with_user
        with_user.close()


@pytest.fixture
def things(gateway: Gateway) -> dict[str, str]:
    """One of each thing that commands name, by its id."""
    execute(["config", "apply", "--yes"])
    execute(["keys", "add", "adams", "--client-id", "7", "--secret-file", "secret"])
    limits = gateway.providers.control("lincoln").limits
    assert gateway.context.limiter.rebuild("lincoln", limits, [])
    with Caller(gateway.settings):
        done = gateway.sync("lincoln", "students")
        dead = gateway.sync("lincoln", "classes")
        done.wait(30)
        gateway.jobs.wait(dead.id, 30)
    gateway.audit.seal()
    while count_next(gateway.context.database):
        pass
    gateway.alerts.evaluate()
    token = gateway.tokens.add("app", ["viewer"], actor="ana")
    until = gateway.context.clock.now().replace(year=2099)
    return {
        "done": done.id,
        "dead": dead.id,
        "waiting": gateway.sync("lincoln", "students").id,
        "alert": gateway.alerts.list()[0].id,
        "silence": gateway.alerts.silence(until, rule="quota", actor="ana").id,
        "pattern": gateway.errors.list()[0].id,
        "hook": gateway.webhooks.add("https://app.test/x", ["job.ended"], app="gradebook").id,
        "poll": gateway.webhooks.add(None, ["job.ended"], app="gradebook").id,
        "message": Quarantine(gateway.context.redis).put(b"{}", "it is no task", "calls.urgent"),
        "token": token.id,
    }


@pytest.fixture
def service(gateway: Gateway) -> Iterator[WebService]:
    """An HTTP service of that installation."""
    with WebService(gateway) as served:
        yield served


class Screens:
    """Runs commands, and takes what differs from time to time out of what they write."""

    def __init__(self, capsys: pytest.CaptureFixture[str], url: str) -> None:
        self._capsys = capsys
        self._url = url

    def here(self, words: list[str]) -> tuple[int, str, str]:
        """Run a command on the installation."""
        return self._run(words)

    def remote(self, words: list[str]) -> tuple[int, str, str]:
        """Run a command by the service."""
        code, out, err = self._run(["--url", self._url, *words])
        lines = (line for line in err.splitlines() if "HTTP service" not in line)
        return code, out, "\n".join(lines)

    def _run(self, words: list[str]) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = execute(words)
        said = self._capsys.readouterr()
        return code, _without_numbers(said.out), _without_numbers(said.err)


def _without_numbers(text: str) -> str:
    text = re.sub(r"[0-9a-f]{8,}(-[0-9a-f]+)*|(?<=_)[0-9a-f]{4,}", "#", text)
    text = re.sub(r"-?[0-9]+([.,:][0-9]+)*( (ms|s|min|h)\b)?", "#", text)
    return re.sub(r"(?<=#)(Z|[+]#)(?=\")| +|[─━]+", " ", text).strip()


@pytest.fixture
def screens(service: WebService, capsys: pytest.CaptureFixture[str]) -> Screens:
    """The command line, here and remote."""
    return Screens(capsys, service.url)


def words_of(line: str, things: dict[str, str]) -> list[str]:
    """The words of a command, with the ids of things."""
    return line.format(**things).split()


def test_screens_are_the_same_over_http(things: dict[str, str], screens: Screens) -> None:
    """For people and as JSON, with the same exit codes, also of what is wrong."""
    for line in [*SHOWN, *WRONG]:
        words = words_of(line, things)
        for more in ([], ["--json"]) if line in SHOWN else ([],):
            here = screens.here([*words, *more])
            assert screens.remote([*words, *more]) == here, line
            assert (here[0] == 0) is (line in SHOWN) or line == "doctor", here


def test_changes_are_made_over_http(
    gateway: Gateway, things: dict[str, str], screens: Screens
) -> None:
    """Each by its command, and audited as done by who has the token."""
    for line in DONE:
        code, out, err = screens.remote(words_of(line, things))
        assert code == 0, (line, out, err)
        if line.startswith("keys stage"):
            things["staged"] = gateway.keys.of("adams").list()[-1].id


def commands(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Every command below one, by its path, with its function."""
    if not hasattr(command, "commands"):
        yield " ".join(path), command.callback
        return
    if command.invoke_without_command and path:
        yield " ".join(path), command.callback
    for name, each in command.commands.items():
        yield from commands(each, *path, name)


def test_every_command_works_over_http_or_says_what_it_needs() -> None:
    """None is forgotten: it is in one of the lists above, or declared."""
    tried = {" ".join(line.split()[:n]) for line in [*SHOWN, *WRONG, *DONE] for n in (1, 2)}
    for path, function in commands(typer.main.get_command(app)):
        needs = getattr(function, "needs", None)
        assert isinstance(needs, Needs) is not (path in tried or path in ELSEWHERE), path


@pytest.mark.parametrize(
    ("words", "found"), [("providers show li", ["lincoln"]), ("records lincoln stud", ["students"])]
)
def test_names_are_completed_over_http(
    things: dict[str, str], service: WebService, tmp_path: Path, words: str, found: list[str]
) -> None:
    """Providers and their datasets, as the service knows them."""
    elsewhere = {"SISGATE_DATA_DIR": str(tmp_path / "none"), "SISGATE_URL": service.url}
    asked = {"_SISGATE_COMPLETE": "complete_bash", "COMP_WORDS": f"sisgate {words}"}
    done = subprocess.run(
        [sys.executable, "-m", "sisgate.cli"],
        env={**os.environ, **elsewhere, **asked, "COMP_CWORD": str(len(words.split()))},
        cwd=tmp_path.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == found


def test_a_request_is_answered(gateway: Gateway, service: WebService, screens: Screens) -> None:
    """And its answer shown as here."""
    limits = gateway.providers.control("lincoln").limits
    assert gateway.context.limiter.rebuild("lincoln", limits, [])
    with Caller(gateway.settings):
        code, out, err = screens.remote(["request", "lincoln", "GET", PATH, "--include"])
    assert (code, err) == (0, "")
    assert out.startswith("HTTP #")
    assert '"familyName": "L"' in out


@pytest.mark.parametrize("line", ["db upgrade", "keys master", "audit new-key file", "env"])
def test_what_needs_the_installation_says_so_in_one_line(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And changes nothing here."""
    monkeypatch.setenv("SISGATE_URL", "http://127.0.0.1:9")
    assert execute(line.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: `sisgate {' '.join(line.split()[:2])}` needs the installation")
    assert "http://127.0.0.1:9 (SISGATE_URL)" in said
    assert len(said.splitlines()) == 1


def test_a_token_file_that_others_can_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command line, which goes on."""
    monkeypatch.setenv("SISGATE_URL", "http://127.0.0.1:9")
    file = tmp_path / "token"
    file.write_text("sisgate_planted-token-4711")
    monkeypatch.setenv("SISGATE_TOKEN_FILE", str(file))
    for mode, is_open in ((0o644, True), (0o600, False)):
        file.chmod(mode)
        assert execute(["jobs", "list"]) == 4
        said = capsys.readouterr().err
        assert (f"Other users of this machine can read {file}: chmod 600 it." in said) is is_open
        assert "http://127.0.0.1:9 gave no answer (it refuses connections)" in said
        assert "planted" not in said


def test_a_wait_whose_service_goes_names_the_job_that_goes_on(
    gateway: Gateway, service: WebService, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the exit code of a wait that ended: 4 would say that nothing was accepted."""

    def stop() -> None:
        poll_until(lambda: bool(gateway.jobs.list()), clock=SystemClock(), timeout_seconds=60)
        service.stop()

    stopping = threading.Thread(target=stop)
    stopping.start()
    code = execute(["--url", service.url, "sync", "lincoln", "students", "--wait", "--json"])
    stopping.join()
    (job,) = gateway.jobs.list()
    error = json.loads(capsys.readouterr().out)["error"]
    assert code == 75
    assert error["jobs"] == [job.id]
    assert f"{service.url} gave no answer" in error["message"]
    assert f"Job {job.id} was accepted and continues" in error["message"]
    assert f"jobs show {job.id[:8]}`" in error["message"]
    assert not job.is_final


@pytest.mark.parametrize(
    ("role", "line", "code"),
    [
        (None, "doctor", 77), ("viewer", "doctor", 77), ("operator", "doctor --probe", 77),
        ("operator", "doctor", 1), ("viewer", "why", 0),
    ],
)  # fmt: skip
def test_doctor_is_for_who_operates_and_refuses_as_others_do(
    gateway: Gateway,
    service: WebService,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    role: str | None,
    line: str,
    code: int,
) -> None:
    """A refusal is no finding."""
    monkeypatch.setenv("SISGATE_TOKEN", "wrong")
    if role is not None:
        made = gateway.tokens.add("olga", [role], actor="ana").token
        assert made is not None
        monkeypatch.setenv("SISGATE_TOKEN", made.get_secret_value())
    assert execute(["--url", service.url, *line.split(), "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert ("error" in told) is (code == 77)
    assert ("findings" in told) is (code < 77)


def test_what_is_wrong_here_is_not_said_by_the_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong file, none at all, wrong words."""
    monkeypatch.setenv("SISGATE_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.toml").write_text('[providers.a]\nkind = "nope"\n')
    for line in ("config check broken.toml", "config diff", "config diff --to 3", "sync"):
        assert execute(line.split()) == 2
        said = capsys.readouterr().err
        assert "HTTP service" not in said, line
        assert "was applied" not in said


@pytest.mark.parametrize(("line", "code"), [("providers", 4), ("sync lincoln", 4), ("doctor", 4)])
def test_a_service_that_is_away_is_named(
    line: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to look at, once."""
    assert execute(["--url", "http://127.0.0.1:9", *line.split()]) == code
    said = capsys.readouterr()
    assert (said.out + said.err).count("http://127.0.0.1:9 gave no answer") == 1
    assert "`sisgate serve` runs there" in " ".join((said.out + said.err).split())
