"""Heads: signed and kept outside the database, to detect a log that lost its end.

Each worker that seals reports whether its host could keep the head, because the file is on that
host and seldom where somebody looks.
"""

import heapq
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sisgate.audit.content import compact_json
from sisgate.audit.keys import KeyRing, Verifiers
from sisgate.errors import AuditError
from sisgate.ledger.schema import AuditSeal
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import AUDIT_HEADS

COMMAND_TIMEOUT = timedelta(seconds=30)


@dataclass(frozen=True)
class Head:
    """The end of the chain at one time: number and head of the newest seal, events so far."""

    number: int
    at: str
    total: int
    head: str
    key: str
    signature: str

    @property
    def signed(self) -> bytes:
        """The bytes that are signed: the other fields as a JSON array."""
        return compact_json([self.number, self.at, self.total, self.head, self.key]).encode()

    @property
    def line(self) -> str:
        """The head as one line of JSON."""
        return compact_json(asdict(self))


def head_of(seal: AuditSeal, keys: KeyRing) -> Head:
    """Return a seal's head, signed with the newest key."""
    key = keys.newest
    unsigned = Head(
        seal.number, seal.at.isoformat(), seal.total, seal.head.hex(), key.id.hex(), signature=""
    )
    return Head(**{**asdict(unsigned), "signature": key.sign(unsigned.signed)})


def parse_head(line: str, keys: Verifiers) -> Head | None:
    """Return the head that a line holds, or None if it is not one that our keys have signed."""
    try:
        head = Head(**json.loads(line))
        datetime.fromisoformat(head.at)
        key = keys.of(bytes.fromhex(head.key))
        good = key is not None and key.has_signed(head.signed, head.signature)
    except (TypeError, ValueError, AttributeError):
        return None
    return head if good else None


def append(path: Path, head: Head) -> None:
    """Add a head to a file, durably. Raises `AuditError`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # One write, so that lines of two sealers do not mix.
            os.write(descriptor, f"{head.line}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise AuditError(
            f"The head of the audit log could not be written to {path}: {error.strerror}. Until it "
            "can, it goes unnoticed if the log loses what was written since the last head."
        ) from error


def can_append(path: Path) -> bool:
    """Whether this process could add a head to a file, which need not exist yet."""
    return os.access(path if path.exists() else path.parent, os.W_OK)


def hand_over(command: Sequence[str], head: Head) -> None:
    """Run a command with the head as a line on its standard input. Raises `AuditError`."""
    try:
        subprocess.run(
            command,
            input=f"{head.line}\n",
            text=True,
            check=True,
            capture_output=True,
            timeout=COMMAND_TIMEOUT.total_seconds(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise AuditError(
            f"The command that takes heads of the audit log, {command[0]}, failed: "
            f"{_reason(error)}. It is run again with the next head."
        ) from error


def newest_in(path: Path, keys: KeyRing) -> Head | None:
    """Return the newest head near the end of a file, or None."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    heads = [head for line in lines[-8:] if (head := parse_head(line, keys)) is not None]
    return max(heads, key=lambda head: head.number, default=None)


@dataclass(frozen=True)
class Broken:
    """A line that is no head of ours."""

    path: Path
    line: int


def read_heads(paths: Sequence[Path], keys: Verifiers) -> Iterator[Head | Broken]:
    """Stream the heads of files by number, and the lines between them that are none.

    What is added to the files after the call is not streamed. Each file is in order; a file that
    does not exist raises `AuditError`.
    """
    try:
        sizes = [path.stat().st_size for path in paths]
    except OSError as error:
        raise _unreadable(error) from error
    return heapq.merge(
        *(_read(path, keys, size) for path, size in zip(paths, sizes, strict=True)),
        key=lambda each: each.number if isinstance(each, Head) else 0,
    )


def _read(path: Path, keys: Verifiers, size: int) -> Iterator[Head | Broken]:
    done = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if done >= size:
                    return
                done += len(line)
                yield parse_head(line.decode("utf-8", "replace"), keys) or Broken(path, number)
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> AuditError:
    return AuditError(f"The file of heads {error.filename} cannot be read: {error.strerror}.")


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"it ended with code {error.returncode}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it took more than {error.timeout:g} s"
    return str(error)


REPORTED_SECONDS = 86_400
"""How long the report of a worker that no longer seals counts."""


@dataclass(frozen=True)
class HeadReport:
    """Whether a host could keep the last head that its worker signed; `error` is None if so."""

    host: str
    path: str
    error: str | None


def report(client: RedisClient, outcome: HeadReport) -> None:
    """Store what a host reports."""
    client.hset(AUDIT_HEADS(), outcome.host, json.dumps([outcome.path, outcome.error]))
    client.expire(AUDIT_HEADS(), REPORTED_SECONDS)


def reports(client: RedisClient) -> Sequence[HeadReport]:
    """Return what each host reported last."""
    stored = client.hgetall(AUDIT_HEADS())
    # This client decodes nothing.
    return [HeadReport(bytes(host).decode(), *json.loads(stored[host])) for host in sorted(stored)]  # type: ignore[arg-type]
