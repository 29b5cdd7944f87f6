"""Writers: each commit that has events numbers them under one writer, without a gap.

A writer serves one commit at a time, and another one only once that commit has surely succeeded. So
whoever sees its event n in the database also sees n - 1, in whatever order transactions become
visible, unless somebody has removed it. A commit that failed, or whose outcome is unknown, ends its
writer: the next event begins a new one at 1.
"""

import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from sisgate.audit.content import event_content, micros
from sisgate.audit.keys import AuditKey, KeyRing
from sisgate.clock import Clock
from sisgate.ledger import audit_log
from sisgate.ledger.database import COMMIT_HOOK

LIFETIME = timedelta(hours=1)
"""How long a writer takes new events, so that the sealer need not search old ones for ever."""

_RANDOM_BITS = 20
_PENDING = "sisgate.audit.pending"
_IN_USE = "sisgate.audit.writer"

Draft = tuple[Any, ...]
"""An event before it is numbered: `EVENT_COLUMNS` without the first two."""


@dataclass
class _Writer:
    id: int
    opened_at: datetime
    last: int = 0


class Writers:
    """The commit hook of a process that writes the audit log.

    `keys` is called at the first event; without a key that event's transaction fails: no audit, no
    action. Threads may share it.
    """

    def __init__(self, keys: Callable[[], KeyRing], clock: Clock) -> None:
        self._read_keys = keys
        self._clock = clock
        self._keys: KeyRing | None = None
        self._free: list[_Writer] = []
        self._process = os.getpid()
        self._lock = threading.Lock()

    @property
    def keys(self) -> KeyRing:
        """The audit keys. Raises `CredentialError`."""
        if self._keys is None:
            self._keys = self._read_keys()
        return self._keys

    def add(self, session: Session, draft: Draft) -> None:
        """Write an event when the session's transaction commits."""
        session.info.setdefault(_PENDING, []).append(draft)

    def before_commit(self, session: Session) -> None:
        """Number, authenticate and insert what was added."""
        drafts: list[Draft] | None = session.info.pop(_PENDING, None)
        if not drafts:
            return
        key = self.keys.newest
        writer = session.info[_IN_USE] = self._take()
        rows = []
        for draft in drafts:
            writer.last += 1
            rows.append(_row(key, (writer.id, writer.last, *draft)))
        audit_log.append(session, rows)

    def settled(self, session: Session, *, is_committed: bool) -> None:
        """Keep the writer for the next commit, or end it."""
        session.info.pop(_PENDING, None)
        writer: _Writer | None = session.info.pop(_IN_USE, None)
        if writer is not None and is_committed:
            with self._lock:
                self._free.append(writer)

    def _take(self) -> _Writer:
        now = self._clock.now()
        with self._lock:
            if self._process != os.getpid():
                # The parent continues with its writers; a forked child begins its own.
                self._free, self._process = [], os.getpid()
            while self._free:
                writer = self._free.pop()
                if now - writer.opened_at < LIFETIME:
                    return writer
        return _Writer(writer_id(now), now)


def writer_id(now: datetime) -> int:
    """Return a new writer's id: the milliseconds of its opening, then 20 random bits."""
    return (micros(now) // 1000 << _RANDOM_BITS) + secrets.randbits(_RANDOM_BITS)


def first_id(since: datetime) -> int:
    """Return the lowest id of a writer that was opened at `since` or later."""
    return max(0, micros(since) // 1000) << _RANDOM_BITS


def writers_of(session: Session) -> Writers:
    """Return what writes the log in this session."""
    hook = session.info.get(COMMIT_HOOK)
    assert isinstance(hook, Writers), "this database was opened without an audit log"
    return hook


def _row(key: AuditKey, fields: tuple[Any, ...]) -> dict[str, Any]:
    writer, number, at, actor, action, subject, reason, provider, job_id, request_id, detail = (
        fields
    )
    return {
        "writer": writer, "number": number, "at": at, "actor": actor, "action": action,
        "subject": subject, "reason": reason, "provider": provider, "job_id": job_id,
        "request_id": request_id, "detail": detail, "mac": key.event_mac(event_content(fields)),
    }  # fmt: skip
