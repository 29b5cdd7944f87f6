"""An import loads what it uses, and nothing that only another part or command needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FLEET = {
    "alembic", "billiard", "celery", "fastapi", "faker", "flower", "kombu", "orjson",
    "prometheus_client", "pybreaker", "requests", "requests_oauthlib", "structlog", "uvicorn",
}  # fmt: skip
"""What workers, migrations, metrics, the web and the sandbox use."""
LEDGER = {"cryptography", "psycopg", "redis", "sqlalchemy"}
"""What a gateway uses once it is created."""
ROOMS = {"sisgate.context", "sisgate.ledger", "sisgate.redis", "sisgate.settings.load", "workers"}
"""Our own that lead to these."""
SCREEN = {"rich", "sisgate.cli", "typer"}
RARE = {"sisgate.gateway.diagnosis", "sisgate.gateway.schedules", "sisgate.privacy.erasure"}
"""Parts of the gateway that few apps use."""

STATEMENTS = {
    "import sisgate": FLEET | LEDGER | ROOMS | SCREEN | {"pydantic"},
    "from sisgate import Gateway, NewRequest": FLEET | LEDGER | ROOMS | SCREEN | {"pydantic"},
    "from sisgate.gateway import Role": FLEET | LEDGER | ROOMS | SCREEN | {"pydantic"},
    "from sisgate import Gateway; Gateway.from_env().jobs": FLEET | SCREEN | RARE | {"psycopg"},
    "from sisgate.client import HttpGateway; HttpGateway('http://localhost:1')": (
        (FLEET - {"requests"}) | LEDGER | ROOMS | SCREEN | RARE | {"pydantic", "sisgate.context"}
    ),
    "import workers": {"fastapi", "faker", "sisgate.cli", "sisgate.sandbox", "typer", "uvicorn"},
}
WEB = {"fastapi", "jinja2", "limits", "starlette", "uvicorn"}
STATEMENTS[
    """
import importlib, pkgutil, sisgate.gateway as rooms
for each in pkgutil.walk_packages(rooms.__path__, "sisgate.gateway."):
    importlib.import_module(each.name)
"""
] = WEB
COMMANDS = ["--version", "--help", "jobs --help", "keys add --help", "sandbox --help"]
LOADED = "print(json.dumps([*sys.modules]), file=sys.stderr)"
COMMAND = f"""
import atexit, json, sys
atexit.register(lambda: {LOADED})
from sisgate.cli.__main__ import run
run()
"""


def loaded(program: str, *arguments: str, **variables: str) -> tuple[set[str], str]:
    """Return the modules that a program has loaded at its end, and its output."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
    return set(json.loads(done.stderr.splitlines()[-1])), done.stdout


@pytest.mark.parametrize("statement", STATEMENTS)
def test_an_import_loads_what_it_uses(statement: str, tmp_path: Path) -> None:
    """An app that enqueues needs no worker, command line or sandbox; a name alone needs nothing."""
    modules, _ = loaded(f"import json, sys\n{statement}\n{LOADED}", SISGATE_DATA_DIR=str(tmp_path))
    assert not modules & STATEMENTS[statement]


@pytest.mark.parametrize("words", COMMANDS)
def test_help_loads_neither_ledger_nor_fleet(words: str) -> None:
    """Help and version know the commands, not what they work with."""
    modules, output = loaded(COMMAND, *words.split())
    assert not modules & (FLEET | LEDGER | ROOMS)
    assert "sisgate" in output


def test_completion_loads_neither_ledger_nor_fleet() -> None:
    """A shell asks at every press of Tab."""
    modules, output = loaded(
        COMMAND, _SISGATE_COMPLETE="complete_bash", COMP_WORDS="sisgate jo", COMP_CWORD="1"
    )
    assert not modules & (FLEET | LEDGER | ROOMS)
    assert output.split() == ["jobs"]
