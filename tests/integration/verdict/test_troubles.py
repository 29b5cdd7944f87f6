"""Each kind of trouble, injected into a fleet under load: the verdict names who is at fault."""

import json
import re
import shlex
import zlib
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup

from sisgate.cli.main import app
from sisgate.gateway import Verdict
from testbed.ledgers import Ledgers
from testbed.troubles import injection
from testbed.troubles.trouble import KINDS


@pytest.mark.parametrize("kind", [name for name, it in KINDS.items() if not it.bench_only])
def test_the_verdict_names_who_is_at_fault(
    kind: str, tmp_path: Path, redis_url: str, ledgers: Ledgers, request: pytest.FixtureRequest
) -> None:
    """Within two evaluations, and never somebody else with confidence."""
    seed = zlib.crc32(kind.encode())
    if KINDS[kind].database == "postgresql":
        database_url = ledgers.postgres(request.getfixturevalue("postgres_server"))
    else:
        database_url = ledgers.sqlite(tmp_path / "ledger.sqlite3")
    result = injection.run(kind, seed, tmp_path, redis_url, database_url)
    assert result.is_right, result.told
    assert result.wrong == [], result.told
    for verdict in result.verdicts:
        check(verdict)


def check(verdict: Verdict) -> None:
    """What it advises can be typed, it is a sentence, and it gives nothing away."""
    text = json.dumps(verdict.as_dict(), ensure_ascii=False)
    assert "s3cret" not in text
    for each in verdict.findings:
        assert "None" not in f"{each.message} {each.remedy}"
        assert len(each.message) < 400
        for command in re.findall(r"`sisgate ([^`]+)`", f"{each.message} {each.remedy}"):
            parse(shlex.split(command))


def parse(words: list[str]) -> None:
    """Read a command as the command line does, without running it."""
    command: Any = typer.main.get_command(app)
    while isinstance(command, TyperGroup) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    if getattr(command, "name", "") == "celery":
        return  # the rest is Celery's
    assert not isinstance(command, TyperGroup) or not words, words
    command.make_context("sisgate", list(words))
