"""Access tokens, sessions, and the list of erased persons whom later syncs leave out."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, or_, select, text, update
from sqlalchemy.orm import Session

from sisgate.ledger.schema import AccessSession, AccessToken, PrivacyKey, Suppression
from sisgate.ledger.statements import change, insert_into, is_postgresql


def all_tokens(session: Session) -> Sequence[AccessToken]:
    """Return all tokens, by name, newest first."""
    order = (AccessToken.name, AccessToken.created_at.desc())
    return session.scalars(select(AccessToken).order_by(*order)).all()


def tokens_of(session: Session, names: Iterable[str]) -> Sequence[AccessToken]:
    """Return the tokens of these names, also those that are not valid any more."""
    return session.scalars(select(AccessToken).where(AccessToken.name.in_(set(names)))).all()


def note_use(session: Session, token_id: str, now: datetime, before: datetime) -> bool:
    """Note that a token is used; False if another process has noted a use after `before`."""
    used = AccessToken.last_used_at
    is_due = (AccessToken.id == token_id) & or_(used.is_(None), used <= before)
    return change(session, update(AccessToken).where(is_due).values(last_used_at=now)) == 1


def begin_session(
    session: Session, digest: bytes, token_id: str, now: datetime, expires_at: datetime
) -> None:
    """Store a session of a token's owner, and forget all that have expired."""
    session.execute(delete(AccessSession).where(AccessSession.expires_at <= now))
    session.add(
        AccessSession(digest=digest, token_id=token_id, begun_at=now, expires_at=expires_at)
    )


def token_of_session(session: Session, digest: bytes, now: datetime) -> AccessToken | None:
    """Return the token that a session was begun with; None if it has ended or expired."""
    query = select(AccessToken).join(AccessSession, AccessSession.token_id == AccessToken.id)
    return session.scalar(
        query.where(AccessSession.digest == digest, AccessSession.expires_at > now)
    )


def end_session(session: Session, digest: bytes) -> str | None:
    """Forget a session; return the id of its token, None if there was none."""
    ended = delete(AccessSession).where(AccessSession.digest == digest)
    return session.scalar(ended.returning(AccessSession.token_id))


def keep_privacy_key(session: Session, name: str, sealed: bytes) -> None:
    """Store a key unless there is one of this name: it never changes."""
    made = insert_into(session, PrivacyKey).values(name=name, sealed_key=sealed)
    session.execute(made.on_conflict_do_nothing())


def privacy_key(session: Session, name: str) -> bytes | None:
    """Return a key as it is stored, sealed; None if there is none."""
    return session.scalar(select(PrivacyKey.sealed_key).where(PrivacyKey.name == name))


def lock_suppressions(session: Session) -> None:
    """Wait for pages that are being written, and block others until the transaction ends.

    On SQLite a write transaction is alone anyway.
    """
    if is_postgresql(session):
        session.execute(text("LOCK TABLE suppressions IN ACCESS EXCLUSIVE MODE"))


def suppress(session: Session, provider: str, digest: bytes, now: datetime) -> None:
    """Put a person on the list."""
    row = insert_into(session, Suppression).values(provider=provider, digest=digest, created_at=now)
    session.execute(row.on_conflict_do_nothing())


def unsuppress(session: Session, provider: str, digest: bytes) -> bool:
    """Take a person off the list; return whether they were on it."""
    theirs = (Suppression.provider == provider, Suppression.digest == digest)
    return change(session, delete(Suppression).where(*theirs)) == 1


def suppressed(session: Session, provider: str) -> frozenset[bytes]:
    """Return the digests of a provider's erased persons."""
    query = select(Suppression.digest).where(Suppression.provider == provider)
    return frozenset(session.scalars(query))
