"""A log as the fleet makes it: several writers, seals, and heads that are kept elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from sisgate.audit import sealer, verification
from sisgate.audit.findings import VerificationResult
from sisgate.audit.heads import Head, head_of
from sisgate.audit.keys import AuditKey, KeyRing
from sisgate.audit.log import record
from sisgate.audit.writers import Writers
from sisgate.ledger import audit_guard
from sisgate.ledger.database import Database
from sisgate.ledger.schema import AuditSeal
from testbed.clock import ManualClock

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
KEYS = KeyRing([AuditKey(b"k" * 32)])


class Book:
    """A log in a database, its writers, and the heads that were kept of it."""

    def __init__(self, database: Database, *, writers: int = 3) -> None:
        self.database = database
        self.clock = ManualClock(NOW)
        self.heads: list[Head] = []
        self.writers = [Writers(lambda: KEYS, self.clock) for _ in range(writers)]
        self._written = 0

    def write(self, count: int = 1, *, writer: int = 0) -> None:
        """Add events in one transaction of one writer."""
        self.database.commit_hook = self.writers[writer]
        with self.database.write() as session:
            for _ in range(count):
                self._written += 1
                number = self._written
                record(
                    session, self.clock.now(), actor="app:gradebook", action="workers:call:intent",
                    subject=f"call/{number}", reason="nightly", provider="lincoln",
                    job=f"job-{number}", request_id=f"r{number}", attempt=1, purpose="page",
                )  # fmt: skip
        self.clock.advance(1)

    def seal(self, *, closely: bool = False) -> AuditSeal | None:
        """Seal what is new, and keep its head."""
        made = sealer.seal(self.database, KEYS, self.clock, closely=closely)
        if made is not None:
            self.heads.append(head_of(made, KEYS))
        self.clock.advance(1)
        return made

    def fill(self, *, seals: int, events: int) -> None:
        """Write and seal in turns; each writer writes in each turn, and once after the last."""
        for _ in range(seals):
            self._turn(events)
            self.seal()
        self._turn(events)

    def _turn(self, events: int) -> None:
        for writer in range(len(self.writers)):
            self.write(events, writer=writer)

    def verify(
        self, session: Session | None = None, *, with_heads: bool = True
    ) -> VerificationResult:
        """Verify the log, as it is or as an open transaction sees it."""
        heads = self.heads if with_heads else []
        if session is not None:
            return verification.verify(session, KEYS, heads, now=self.clock.now())
        with self.database.snapshot() as own:
            return verification.verify(own, KEYS, heads, now=self.clock.now())

    @contextmanager
    def tampering(self) -> Iterator[Session]:
        """Give a transaction of somebody who may do anything; it is undone at the end."""
        with self.database.engine.connect() as connection:
            with Session(connection) as session:
                audit_guard.take_off(
                    lambda statement: session.execute(text(statement)), connection.dialect.name
                )
                yield session
            connection.rollback()
