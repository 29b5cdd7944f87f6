"""Making, listing, revoking and replacing tokens. Each is noted in the audit log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr
from sqlalchemy.orm import Session

from sisgate.access import store
from sisgate.access.authorizer import Authorizer, authenticate
from sisgate.access.policy import Action, Principal, Role, parse_scopes
from sisgate.access.token import PATTERN, new_token
from sisgate.audit import log as audit
from sisgate.clock import Clock
from sisgate.domain.validation import chosen
from sisgate.errors import InvalidState, UnknownToken, UsageError
from sisgate.ledger.database import Database
from sisgate.ledger.schema import AccessToken

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")
LIFE = timedelta(days=365)
"""How long a token is good for unless something else is asked for."""
OVERLAP = timedelta(days=1)
"""How long the old token is good for beside the one that replaces it."""


@dataclass(frozen=True)
class TokenInfo:
    """What is known of a token. `state` is `active`, `expired` or `revoked`.

    `token` is there only where it has just been made: it is shown once and stored nowhere.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    state: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    token: SecretStr | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready; the token itself only where it has just been made."""
        words = {name: getattr(self, name) for name in self.__dataclass_fields__}
        secret = words.pop("token")
        shown = {"token": secret.get_secret_value()} if secret is not None else {}
        plain = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in words.items()}
        return {**plain, **shown}


class TokenService:
    """What an admin does with tokens. Methods raise `AccessDenied` and `DatabaseUnavailable`."""

    def __init__(self, database: Database, clock: Clock, authorizer: Authorizer) -> None:
        self._database = database
        self._clock = clock
        self._authorizer = authorizer

    def authenticate(self, token: str | None) -> Principal:
        """Return who a token stands for, whoever asks; `NotAuthenticated` where it is not good."""
        return authenticate(self._database, self._clock, token)

    def add(
        self,
        name: str,
        roles: Sequence[str],
        *,
        scopes: Sequence[str] = ("*",),
        life: timedelta | None = LIFE,
        actor: str = "local",
        reason: str | None = None,
    ) -> TokenInfo:
        """Make a token and return it with its secret, which is told this once.

        `life` None means without end. Where tokens are required and nobody has one that may make
        tokens, the first admin's is made without: whoever can write to the database could do so
        anyway. Raises `UsageError`.
        """
        given = _roles(roles)
        try:
            places = parse_scopes(scopes)
        except ValueError as error:
            raise UsageError(f"{error}.") from None
        if not NAME.fullmatch(name) or PATTERN.search(name):
            raise UsageError(
                "A token is named after its app or person: letters, digits, _ . @ and -, at most "
                "100, a letter or digit first."
            )
        if not places:
            raise UsageError("A token needs at least one scope; * is everything.")
        if life is not None and life <= timedelta(0):
            raise UsageError("The life of a token is longer than nothing.")
        now = self._clock.now()
        token = new_token()
        with self._database.write() as session:
            is_first = Role.ADMIN in given and not store.has_admin(session, now)
        who = self._maker(actor, is_first=is_first)
        with self._database.write() as session:
            row = store.add(
                session, token, name, given, places, now,
                created_by=who, expires_at=now + life if life is not None else None,
            )  # fmt: skip
            self._note(session, "add", row, who, reason, scopes=row.scopes, roles=row.roles)
            session.flush()
            return replace(_info(row, now), token=token.value)

    def list(self, *, every: bool = False) -> list[TokenInfo]:
        """Return the tokens that are good now, with `every` also those that are not."""
        self._authorizer.require(Action.ADMINISTER)
        now = self._clock.now()
        with self._database.read() as session:
            return [_info(row, now) for row in store.every(session, None if every else now)]

    def revoke(
        self, token_id: str, *, actor: str = "local", reason: str | None = None
    ) -> TokenInfo:
        """End a token for the whole fleet, within a second. Once more changes nothing.

        Raises `UnknownToken`.
        """
        who = self._who(self._authorizer.require(Action.ADMINISTER), actor)
        now = self._clock.now()
        with self._database.write() as session:
            row = _get(session, token_id)
            if row.revoked_at is None or row.revoked_at > now:
                row.revoked_at = now
                self._note(session, "revoke", row, who, reason)
            return _info(row, now)

    def rotate(
        self,
        token_id: str,
        *,
        overlap: timedelta = OVERLAP,
        life: timedelta | None = LIFE,
        actor: str = "local",
        reason: str | None = None,
    ) -> TokenInfo:
        """Make a token of the same name, roles and scopes; the old one is good for `overlap` more.

        Raises `UnknownToken`, and `InvalidState` for a token that is not good any more.
        """
        who = self._who(self._authorizer.require(Action.ADMINISTER), actor)
        if overlap < timedelta(0) or (life is not None and life <= timedelta(0)):
            raise UsageError("An overlap and a life are lengths of time, not below nothing.")
        now, token = self._clock.now(), new_token()
        with self._database.write() as session:
            old = _get(session, token_id)
            if (wrong := store.why_refused(old, now)) is not None:
                raise InvalidState(
                    f"Token {old.id} is {wrong}, so there is nothing to replace. Make a new one "
                    "with `sisgate tokens add`.",
                    token=old.id,
                )
            ends = now + overlap
            old.revoked_at = min(ends, old.revoked_at) if old.revoked_at else ends
            row = store.add(
                session, token, old.name, [Role(word) for word in old.roles],
                parse_scopes(old.scopes), now,
                created_by=who, expires_at=now + life if life is not None else None,
            )  # fmt: skip
            until = old.revoked_at.isoformat()
            self._note(session, "rotate", row, who, reason, replaces=old.id, old_until=until)
            session.flush()
            return replace(_info(row, now), token=token.value)

    def _maker(self, actor: str, *, is_first: bool) -> str:
        if is_first and self._authorizer.is_anonymous:
            return actor
        return self._who(self._authorizer.require(Action.ADMINISTER), actor)

    @staticmethod
    def _who(principal: Principal, actor: str) -> str:
        return principal.token_actor or actor

    def _note(
        self,
        session: Session,
        what: str,
        row: AccessToken,
        actor: str,
        reason: str | None,
        **detail: Any,
    ) -> None:
        audit.record(
            session,
            self._clock.now(),
            actor=actor,
            action=f"access:token:{what}",
            subject=f"token {row.id}",
            reason=reason,
            name=row.name,
            **detail,
        )


def _roles(words: Sequence[str]) -> list[Role]:
    roles = [Role(chosen("role", Role, word)) for word in words]
    if not roles:
        raise UsageError(f"A token needs a role: {', '.join(Role)}.")
    return roles


def _get(session: Session, token_id: str) -> AccessToken:
    # A whole token is taken for its id, so that nobody has to take it apart; it is not repeated.
    found = PATTERN.fullmatch(token_id)
    row = session.get(AccessToken, found[1] if found else token_id, with_for_update=True)
    if row is None:
        raise UnknownToken("No token has that id. `sisgate tokens list --all` shows them.")
    return row


def _info(row: AccessToken, now: datetime) -> TokenInfo:
    same = ("id", "name", "created_at", "created_by", "expires_at", "last_used_at", "revoked_at")
    return TokenInfo(
        roles=tuple(row.roles),
        scopes=tuple(row.scopes),
        state=store.why_refused(row, now) or "active",
        **{name: getattr(row, name) for name in same},
    )
