"""The audit log as apps and the command line see it: read, verify, export, archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from sisgate.access.gate import Gate
from sisgate.access.policy import Action
from sisgate.audit import archive, checking, export, log, sealer
from sisgate.audit.checking import Progress
from sisgate.audit.heads import Head, head_of, read_heads
from sisgate.audit.keys import KeyRing
from sisgate.audit.log import Filter
from sisgate.audit.verdict import Verdict
from sisgate.clock import Clock
from sisgate.gateway.ledger import audit_keys
from sisgate.ledger.audit_schema import AuditEvent
from sisgate.ledger.database import Database
from sisgate.settings import Settings


class AuditLog:
    """Reading needs the right to administer, and verifying the audit keys besides.

    Methods raise `AccessDenied`, `CredentialError` and `AuditError`.
    """

    def __init__(self, settings: Settings, database: Database, clock: Clock, access: Gate) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._access = access

    def tail(self, wanted: Filter | None = None, *, limit: int = 50) -> Sequence[AuditEvent]:
        """Return the newest events that fit, newest first."""
        self._access.pass_through(Action.ADMINISTER)
        with self._database.read() as session:
            return log.tail(session, wanted, limit=limit)

    def search(self, wanted: Filter) -> Iterator[AuditEvent]:
        """Stream the events that fit, oldest first."""
        self._access.pass_through(Action.ADMINISTER)
        return self._search(wanted)

    def _search(self, wanted: Filter) -> Iterator[AuditEvent]:
        with self._database.read() as session:
            yield from log.search(session, wanted)

    def verify(self, *, heads: Sequence[Path] = (), progress: Progress = lambda _: None) -> Verdict:
        """Verify the whole log, and its end against files of heads.

        Without `heads` the file of the settings is used, if it is there.
        """
        self._access.pass_through(Action.ADMINISTER)
        keys = self.keys
        default = self._settings.audit_heads_path
        files = list(heads) or ([default] if default.exists() else [])
        # What is in them before the database is read: see `checking.verify`.
        known = read_heads(files, keys)
        with self._database.snapshot() as session:
            return checking.verify(session, keys, known, progress, now=self._clock.now())

    def verify_export(self, path: Path, *, progress: Progress = lambda _: None) -> Verdict:
        """Verify an exported file. The database is not asked."""
        return export.verify_file(path, self.keys, progress)

    def export(self) -> Iterator[str]:
        """Stream the whole log as lines of JSON that `verify_export` can check."""
        self._access.pass_through(Action.ADMINISTER)
        keys = self.keys
        sealer.seal(self._database, keys, self._clock)
        return self._export(keys)

    def _export(self, keys: KeyRing) -> Iterator[str]:
        with self._database.snapshot() as session:
            yield from export.lines(session, keys)

    def seal(self) -> int | None:
        """Seal what is new now; return the seal's number, None where nothing is new."""
        self._access.pass_through(Action.ADMINISTER)
        made = sealer.seal(self._database, self.keys, self._clock)
        return made.number if made else None

    def head(self) -> Head | None:
        """Return the signed head of the newest seal, to be kept somewhere else."""
        self._access.pass_through(Action.ADMINISTER)
        with self._database.read() as session:
            newest = sealer.newest_seal(session)
        return head_of(newest, self.keys) if newest else None

    def archive(
        self, wanted: archive.Segment, path: Path, *, actor: str, reason: str | None = None
    ) -> archive.Archived:
        """Move the sealed events of a time long ago into a file; see `docs/audit.md`."""
        principal = self._access.pass_through(Action.ADMINISTER)
        actor = principal.token_actor or actor
        return archive.archive(
            self._database, self.keys, self._clock, wanted, path, actor=actor, reason=reason
        )

    @property
    def keys(self) -> KeyRing:
        """The audit keys of this process. `CredentialError`."""
        return audit_keys(self._settings)
