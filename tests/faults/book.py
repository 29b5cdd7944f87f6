"""What was asked for and what was accepted, as the asking app noted it."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Accepted:
    """One job that the gateway said it had accepted."""

    job: str
    do: str
    """`GET`, `POST` or `sync`."""
    provider: str
    path: str


class Book:
    """The file that the asking app writes."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.touch()

    @property
    def lines(self) -> int:
        """How many orders were carried out or refused."""
        return len(self._read())

    @property
    def accepted(self) -> list[Accepted]:
        """The jobs that were accepted, in order."""
        return [
            Accepted(line["job"], line["do"], line["provider"], line["path"])
            for line in self._read()
            if "job" in line
        ]

    @property
    def refused(self) -> int:
        """How many orders the gateway refused, because the database or the provider was away."""
        return sum("refused" in line for line in self._read())

    def _read(self) -> list[dict[str, str]]:
        text = self.file.read_text("utf-8")
        # The last line of an app that was killed may be cut.
        whole = text[: text.rfind("\n") + 1]
        return [json.loads(line) for line in whole.splitlines() if line]
