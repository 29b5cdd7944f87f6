"""One running `sisgate up` for the tests that disturb nobody, and empty folders for the rest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sisgate.sandbox import SandboxProcess
from testbed.stack import Stack, configuration
from tests.acceptance.cli.command import Command
from tests.acceptance.cli.operator import Operator

NAMES = ("powerschool", "skyward")


@pytest.fixture
def sandbox_toml(sandbox: SandboxProcess) -> str:
    """A sisgate.toml that leads to two districts of the sandbox."""
    return configuration({name: sandbox.districts[name] for name in NAMES}, {})


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxProcess) -> Iterator[Command]:
    """A stack that runs, with the keys of its providers and one synced dataset."""
    folder = tmp_path_factory.mktemp("cli") / "data"
    districts = {name: sandbox.districts[name] for name in NAMES}
    command = Command(folder, configuration(districts, {}))
    command.up("--no-flower", "--workers", "2")
    try:
        for name in NAMES:
            add_key(command, sandbox, name)
        command("sync", "skyward", "orgs", "students", "--wait", "--timeout", "60")
        yield command
    finally:
        command.down()


@pytest.fixture
def command(tmp_path: Path, sandbox_toml: str) -> Iterator[Command]:
    """A data folder of this test's own, configured, with nothing running."""
    made = Command(tmp_path / "data", sandbox_toml)
    yield made
    made.down()


def add_key(command: Command, sandbox: SandboxProcess, name: str) -> None:
    """Store the sandbox's key of a provider."""
    found = sandbox.districts[name]
    words = ["--client-id", found.client_id, "--secret-env", "THE_SECRET"]
    command("keys", "add", name, *words, environment={"THE_SECRET": found.client_secret})


@pytest.fixture
def operator(sqlite_stack: Stack) -> Operator:
    """Somebody at the command line."""
    return Operator(sqlite_stack)
