"""Creating, listing, revoking and replacing tokens. Each change is audited."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr
from sqlalchemy.orm import Session

from sisgate.access.authorizer import Authorizer, KnownTokens
from sisgate.access.policy import WHOLE, Action, Principal, Role, parse_scopes
from sisgate.access.tokens import PATTERN, new_token, why_invalid
from sisgate.audit import log as audit
from sisgate.clock import Clock
from sisgate.domain.moments import LONGEST
from sisgate.domain.validation import chosen
from sisgate.errors import InvalidState, UnknownToken, UsageError
from sisgate.ledger.access import all_tokens
from sisgate.ledger.database import Database
from sisgate.ledger.schema import AccessToken

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")
LIFE = timedelta(days=365)
"""How long a token is valid by default."""
OVERLAP = timedelta(days=1)
"""How long a token stays valid beside the one that replaces it."""


@dataclass(frozen=True)
class TokenInfo:
    """A token without its secret. `state` is `active`, `expired` or `revoked`.

    `token` is set only by the call that creates it: it is shown once and stored nowhere.
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
        """Return the fields JSON-ready; the token itself only from the call that creates it."""
        values = dict(self.__dict__)
        token = values.pop("token")
        shown = {"token": token.get_secret_value()} if token is not None else {}
        plain = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in values.items()}
        return {**plain, **shown}


class TokenService:
    """What an admin does with tokens. Methods raise `AccessDenied` and `DatabaseUnavailable`."""

    def __init__(self, database: Database, clock: Clock, authorizer: Authorizer) -> None:
        self._database = database
        self._clock = clock
        self._authorizer = authorizer
        self._known = KnownTokens(database, clock)

    def authenticate(self, token: str | None) -> Principal:
        """Return the principal of a token; `NotAuthenticated` if it is not valid.

        A valid one is looked up once in `CACHE_SECONDS`.
        """
        return self._known.principal(token)

    def add(
        self,
        name: str,
        roles: Sequence[str],
        *,
        scopes: Sequence[str] = (WHOLE,),
        life: timedelta | None = LIFE,
        actor: str = "local",
        reason: str | None = None,
    ) -> TokenInfo:
        """Create a token and return it with its secret, which is shown only now.

        `life` None means that it never expires. Where tokens are required and nobody has one that
        may create tokens, the first admin's is created without: whoever can write to the database
        could do so anyway. Raises `UsageError`.
        """
        granted = sorted({Role(chosen("role", Role, role)).value for role in roles})
        if not granted:
            raise UsageError(f"A token needs a role: {', '.join(Role)}.")
        try:
            places = [str(scope) for scope in parse_scopes(scopes)]
        except ValueError as error:
            raise UsageError(f"{error}.", field="scopes") from None
        if not NAME.fullmatch(name) or PATTERN.search(name):
            raise UsageError(
                "A token is named after its app or person: letters, digits, _ . @ and -, at most "
                "100, a letter or digit first.",
                field="name",
            )
        if not places:
            raise UsageError(
                "A token needs at least one scope; * means everything.", field="scopes"
            )
        if life is not None and not timedelta(0) < life <= LONGEST:
            raise UsageError("The life of a token must be positive, and at most a hundred years.")
        is_first = Role.ADMIN in granted and self._authorizer.is_anonymous
        if not (is_first and self._lacks_admin()):
            actor = self._admin(actor)
        with self._database.write() as session:
            info = self._insert(session, name, granted, places, life, actor)
            detail = {"scopes": places, "roles": granted}
            self._audit(session, "add", info.id, name, actor, reason, **detail)
        return info

    def list(self, *, every: bool = False) -> list[TokenInfo]:
        """Return the tokens that are valid now; with `every`, also those that are not."""
        self._authorizer.require(Action.ADMINISTER)
        now = self._clock.now()
        with self._database.read() as session:
            infos = [_info(row, now) for row in all_tokens(session)]
        return [info for info in infos if every or info.state == "active"]

    def revoke(
        self, token_id: str, *, actor: str = "local", reason: str | None = None
    ) -> TokenInfo:
        """End a token for the whole fleet, within a second. A second time changes nothing.

        Raises `UnknownToken`.
        """
        actor = self._admin(actor)
        now = self._clock.now()
        with self._database.write() as session:
            row = _locked(session, token_id)
            if row.revoked_at is None or row.revoked_at > now:
                row.revoked_at = now
                self._audit(session, "revoke", row.id, row.name, actor, reason)
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
        """Create a token of the same name, roles and scopes; the old one is valid for `overlap`.

        Raises `UnknownToken`, and `InvalidState` for a token that is no longer valid.
        """
        actor = self._admin(actor)
        is_life = life is None or timedelta(0) < life <= LONGEST
        if not (timedelta(0) <= overlap <= LONGEST and is_life):
            raise UsageError("An overlap and a life are from 0 to a hundred years.")
        now = self._clock.now()
        with self._database.write() as session:
            old = _locked(session, token_id)
            if (why := why_invalid(old, now)) is not None:
                raise InvalidState(
                    f"Token {old.id} is {why}, so there is nothing to replace. Make a new one "
                    "with `sisgate tokens add`.",
                    token=old.id,
                )
            ends = now + overlap
            old.revoked_at = min(ends, old.revoked_at) if old.revoked_at else ends
            info = self._insert(session, old.name, old.roles, old.scopes, life, actor)
            detail = {"replaces": old.id, "old_until": old.revoked_at.isoformat()}
            self._audit(session, "rotate", info.id, old.name, actor, reason, **detail)
        return info

    def _lacks_admin(self) -> bool:
        now = self._clock.now()
        with self._database.read() as session:
            rows = all_tokens(session)
        return not any(
            Role.ADMIN.value in row.roles and WHOLE in row.scopes and why_invalid(row, now) is None
            for row in rows
        )

    def _admin(self, actor: str) -> str:
        """Return who the audit log names; `AccessDenied` unless the caller may administer."""
        return self._authorizer.require(Action.ADMINISTER).token_actor or actor

    def _insert(
        self,
        session: Session,
        name: str,
        roles: Sequence[str],
        scopes: Sequence[str],
        life: timedelta | None,
        actor: str,
    ) -> TokenInfo:
        """Store a new token, of which only the digest is kept."""
        token, now = new_token(), self._clock.now()
        row = AccessToken(
            id=token.id,
            name=name,
            roles=list(roles),
            scopes=list(scopes),
            digest=token.digest,
            created_at=now,
            created_by=actor[:100],
            expires_at=now + life if life is not None else None,
        )
        session.add(row)
        session.flush()
        return replace(_info(row, now), token=token.value)

    def _audit(
        self,
        session: Session,
        act: str,
        token_id: str,
        name: str,
        actor: str,
        reason: str | None,
        **detail: Any,
    ) -> None:
        audit.record(
            session, self._clock.now(), actor=actor, action=f"access:token:{act}",
            subject=f"token {token_id}", reason=reason, name=name, **detail,
        )  # fmt: skip


def _locked(session: Session, token_id: str) -> AccessToken:
    # A whole token is accepted for its id, so that nobody has to take it apart; it is not echoed.
    match = PATTERN.fullmatch(token_id)
    row = session.get(AccessToken, match[1] if match else token_id, with_for_update=True)
    if row is None:
        raise UnknownToken("No token has that id. `sisgate tokens list --all` shows them.")
    return row


def _info(row: AccessToken, now: datetime) -> TokenInfo:
    same = ("id", "name", "created_at", "created_by", "expires_at", "last_used_at", "revoked_at")
    return TokenInfo(
        roles=tuple(row.roles),
        scopes=tuple(row.scopes),
        state=why_invalid(row, now) or "active",
        **{name: getattr(row, name) for name in same},
    )
