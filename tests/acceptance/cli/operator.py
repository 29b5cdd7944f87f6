"""Somebody at the command line of a fleet that runs already."""

from typing import Any

from testbed.stack import Stack
from tests.acceptance.cli.command import Command


class Operator:
    """Runs `sisgate` against the fleet of a stack."""

    def __init__(self, stack: Stack) -> None:
        self._command = Command(stack.folder)
        everything = stack.environment()
        self._environment = {k: v for k, v in everything.items() if k.startswith("SISGATE_")}

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run a command and return all that it said."""
        ended = self._command(*words, code=code, environment=self._environment)
        return ended.stdout + ended.stderr

    def json(self, *words: str) -> Any:
        """Run a command with `--json` and return what it wrote."""
        return self._command.json(*words, environment=self._environment)
