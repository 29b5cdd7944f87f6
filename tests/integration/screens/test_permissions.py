"""Every command asks the gateway who runs it: none looks into the ledger by itself."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from sisgate.cli.exits import ExitCode
from sisgate.cli.main import app, execute
from sisgate.gateway import Gateway, TokenInfo
from sisgate.settings import load_settings
from tests.integration.screens.conftest import InstallHere

Run = Callable[[str, TokenInfo], tuple[int, Any]]

CONFIG = """
access = "tokens"
[providers.lincoln]
kind = "oneroster"
token_url = "https://sis.test/token"
[[providers.lincoln.endpoints]]
url = "https://sis.test"
[schedules.nightly]
provider = "lincoln"
cron = "0 2 * * *"
"""

OF_THE_MACHINE = {
    "demo", "up", "serve", "celery", "sandbox", "doctor", "env", "powerschool-plugin",
    "config check", "keys master", "db upgrade", "db current",
}  # fmt: skip
"""They work on files and processes of this machine: its own users decide about them."""

ARGUMENTS = {
    "sync": "lincoln students",
    "request": "lincoln GET /x",
    "jobs list": "",
    "jobs show": "3f8a",
    "jobs timeline": "3f8a",
    "jobs deletions": "3f8a",
    "jobs cancel": "3f8a",
    "jobs retry": "3f8a",
    "jobs resolve": "3f8a --as done",
    "schedules list": "",
    "schedules show": "nightly",
    "schedules run": "nightly",
    "webhooks add": "--poll --event job.ended --provider lincoln",
    "webhooks list": "",
    "webhooks show": "wh_3f8a",
    "webhooks edit": "wh_3f8a --ordered",
    "webhooks remove": "wh_3f8a",
    "webhooks pause": "wh_3f8a",
    "webhooks resume": "wh_3f8a",
    "webhooks rotate-secret": "wh_3f8a",
    "webhooks test": "wh_3f8a",
    "webhooks deliveries": "wh_3f8a",
    "webhooks redeliver": "wh_3f8a 1",
    "webhooks events": "wh_3f8a",
    "records": "lincoln students",
    "changes": "lincoln students",
    "record": "lincoln students 1",
    "feed": "lincoln students",
    "providers": "",
    "providers show": "lincoln",
    "providers add": "adams kind=skyward url=https://a.test --yes",
    "providers edit": "lincoln burst=3 --yes",
    "providers remove": "lincoln --yes",
    "providers rename-endpoint": "lincoln https://sis.test https://b.test --yes",
    "config diff": "",
    "config apply": "--yes",
    "config history": "",
    "config show": "",
    "config rollback": "1 --yes",
    "usage": "",
    "transform test": "lincoln /x",
    "plan": "lincoln students",
    "metrics": "",
    "dashboard": "",
    "why": "lincoln",
    "sla": "lincoln",
    "errors list": "",
    "errors show": "er_3f8a",
    "errors resolve": "er_3f8a",
    "errors reopen": "er_3f8a",
    "alerts list": "",
    "alerts show": "al_3f8a",
    "alerts ack": "al_3f8a",
    "alerts silence": "--provider lincoln --until 1h",
    "alerts unsilence": "si_3f8a",
    "alerts silences": "",
    "alerts channels": "",
    "alerts test": "ops",
    "audit tail": "",
    "audit search": "",
    "audit export": "",
    "audit verify": "",
    "audit public-key": "",
    "audit disclosures": "lincoln/1",
    "audit seal": "",
    "audit head": "",
    "audit archive": "old.jsonl --before 1d",
    "audit new-key": "audit.key",
    "limits set": "lincoln 5/h",
    "limits show": "lincoln",
    "pause": "lincoln",
    "resume": "lincoln",
    "breaker": "",
    "quarantine list": "",
    "quarantine show": "3f8a",
    "quarantine requeue": "3f8a",
    "quarantine drop": "3f8a",
    "erase": "--provider lincoln --person 1 --reason x",
    "retention": "",
    "keys add": "lincoln --client-id 1 --secret-env SECRET",
    "keys stage": "lincoln --client-id 1 --secret-env SECRET",
    "keys list": "",
    "keys usage": "lincoln",
    "keys rotate": "lincoln",
    "keys promote": "lincoln 3f8a",
    "keys rollback": "lincoln",
    "keys revoke": "lincoln 3f8a",
    "keys masters": "",
    "keys rewrap": "",
    "keys forget-master": "3f8a",
    "tokens add": "ana --role app",
    "tokens list": "",
    "tokens revoke": "3f8a",
    "tokens rotate": "3f8a",
    "db restored": "",
}
"""By command what it is run with here."""


def commands(command: Any, path: str = "") -> Iterator[str]:
    """All commands as they are written, and groups that do something by themselves."""
    if not isinstance(command, TyperGroup) or (path and command.invoke_without_command):
        yield path
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield from commands(below, f"{path} {name}".strip())


@pytest.fixture
def gateway(install_here: InstallHere, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """That of whoever runs the installation, which asks everybody else for a token."""
    install_here(CONFIG)
    monkeypatch.setenv("SECRET", "s3cret")
    with closing(Gateway(load_settings().model_copy(update={"access": "open"}))) as gateway:
        yield gateway


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with a token; return its exit code and the first line of its JSON."""

    def one(command: str, made: TokenInfo) -> tuple[int, Any]:
        assert made.token is not None
        monkeypatch.setenv("SISGATE_TOKEN", made.token.get_secret_value())
        capsys.readouterr()
        code = execute([*command.split(), *ARGUMENTS[command].split(), "--json"])
        return code, json.loads(capsys.readouterr().out.splitlines()[0])

    return one


def test_every_command_is_tried_here() -> None:
    """A new one is not forgotten."""
    assert set(commands(typer.main.get_command(app))) == set(ARGUMENTS) | OF_THE_MACHINE


def test_a_revoked_token_does_nothing(gateway: Gateway, run: Run) -> None:
    """No command shows or changes anything with it."""
    token = gateway.tokens.add("eve", ["admin"])
    gateway.tokens.revoke(token.id)
    results = {command: run(command, token) for command in ARGUMENTS}
    assert {
        command: result
        for command, result in results.items()
        if result[0] != ExitCode.NO_PERMISSION or result[1]["error"]["code"] != "not_authenticated"
    } == {}


def test_a_token_for_another_provider_gets_nothing(gateway: Gateway, run: Run) -> None:
    """It is refused, finds no such job, or sees an empty list."""
    token = gateway.tokens.add("portal", ["app", "operator"], scopes=["roosevelt"])
    refusals = {
        ExitCode.NO_PERMISSION: {"access_denied"},
        ExitCode.NOT_FOUND: {
            "unknown_job",
            "unknown_webhook",
            "unknown_alert",
            "unknown_error_pattern",
        },
    }
    allowed = {}
    for command in ARGUMENTS:
        code, found = run(command, token)
        if "error" in found:
            found = found["error"]["code"] not in refusals.get(ExitCode(code), ()) and found
        elif isinstance(found, dict):
            found = found["providers"]
        if found:
            allowed[command] = found
    assert allowed == {}
