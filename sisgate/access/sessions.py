"""Sessions: what a browser holds in place of a token. One ends with its token, within a second."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import SecretStr

from sisgate.access.authorizer import CACHE_SECONDS, MOST_KNOWN, authenticate
from sisgate.access.policy import Principal
from sisgate.access.tokens import principal_of, why_invalid
from sisgate.audit import log as audit
from sisgate.clock import Clock
from sisgate.errors import NotAuthenticated
from sisgate.ledger import access
from sisgate.ledger.database import Database

LIFE = timedelta(hours=12)
"""How long a session lasts: a working day."""


@dataclass(frozen=True)
class NewSession:
    """A session that has begun. `secret` is shown once; only its digest is stored."""

    secret: SecretStr
    principal: Principal
    expires_at: datetime


class Sessions:
    """Begins and ends sessions, each audited. Methods raise `DatabaseUnavailable`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[bytes, tuple[float, Principal]] = {}

    def begin(self, token: str | None) -> NewSession:
        """Begin a session with a token; `NotAuthenticated` if it is not valid."""
        principal = authenticate(self._database, self._clock, token)
        secret, now = secrets.token_urlsafe(32), self._clock.now()
        ends = now + LIFE
        with self._database.write() as session:
            access.begin_session(session, _digest(secret), str(principal.token_id), now, ends)
            audit.record(
                session, now, actor=principal.actor, action="access:session:begin",
                subject=f"token {principal.token_id}",
            )  # fmt: skip
        return NewSession(SecretStr(secret), principal, ends)

    def principal(self, secret: str) -> Principal:
        """Return whose session it is; `NotAuthenticated` if it or its token is no longer valid.

        A valid one is looked up once in `CACHE_SECONDS`.
        """
        at, digest = self._clock.monotonic(), _digest(secret)
        seen_at, known = self._known.get(digest, (0.0, None))
        if known is not None and at - seen_at < CACHE_SECONDS:
            return known
        now = self._clock.now()
        with self._database.read() as session:
            token = access.token_of_session(session, digest, now)
            if token is None or why_invalid(token, now) is not None:
                self._known.pop(digest, None)
                raise NotAuthenticated("The session has ended. Log in again.")
            principal = principal_of(token)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[digest] = at, principal
        return principal

    def end(self, secret: str) -> None:
        """End a session now. A second time changes nothing."""
        digest, now = _digest(secret), self._clock.now()
        with self._database.write() as session:
            token_id = access.end_session(session, digest)
            if token_id is not None:
                audit.record(
                    session, now, actor=f"token {token_id}", action="access:session:end",
                    subject=f"token {token_id}",
                )  # fmt: skip
        self._known.pop(digest, None)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
