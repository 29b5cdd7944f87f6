"""The tokens in the ledger: their digests, never they themselves."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sisgate.access.policy import Principal, Role, Scope
from sisgate.access.token import Token
from sisgate.ledger import access
from sisgate.ledger.schema import AccessToken

USE_NOTED_EVERY = timedelta(minutes=1)
"""The last use of a token is written at most so often."""


def add(
    session: Session,
    token: Token,
    name: str,
    roles: Sequence[Role],
    scopes: Sequence[Scope],
    now: datetime,
    *,
    created_by: str,
    expires_at: datetime | None,
) -> AccessToken:
    """Store a new token; only its digest is kept."""
    row = AccessToken(
        id=token.id,
        name=name,
        roles=sorted(role.value for role in set(roles)),
        scopes=[str(scope) for scope in scopes],
        digest=token.digest,
        created_at=now,
        created_by=created_by[:100],
        expires_at=expires_at,
    )
    session.add(row)
    return row


def every(session: Session, now: datetime | None = None) -> list[AccessToken]:
    """Return all tokens, by name, newest first; with `now` only those that are good then."""
    rows = access.all_tokens(session)
    return [row for row in rows if now is None or why_refused(row, now) is None]


def has_admin(session: Session, now: datetime) -> bool:
    """Return whether somebody has a token that may make tokens."""
    return any(Role.ADMIN.value in row.roles and "*" in row.scopes for row in every(session, now))


def is_of(token: Token, row: AccessToken | None) -> bool:
    """Return whether a row is that of a token, in a time that tells nothing of either."""
    return hmac.compare_digest(token.digest, row.digest if row is not None else bytes(32))


def why_refused(row: AccessToken, now: datetime) -> str | None:
    """Return what is wrong with a token, or None. For the audit log, not for who asks."""
    if row.revoked_at is not None and row.revoked_at <= now:
        return "revoked"
    if row.expires_at is not None and row.expires_at <= now:
        return "expired"
    return None


def principal_of(row: AccessToken) -> Principal:
    """Return who a token stands for. A role that this version does not know gives nothing."""
    roles = frozenset(Role(word) for word in row.roles if word in set(Role))
    return Principal(row.name, roles, tuple(map(Scope.parse, row.scopes)), token_id=row.id)


def use_is_due(row: AccessToken, now: datetime) -> bool:
    """Return whether the last use that is noted is old enough to note another one."""
    return row.last_used_at is None or now - row.last_used_at >= USE_NOTED_EVERY
