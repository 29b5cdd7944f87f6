"""Authentication and authorization, shared by the gateway, the command line and the web.

The refusal is the same for an unknown, a revoked and an expired token, so that nobody learns from
it which tokens exist. The audit log has the exact reason.
"""

import threading
from datetime import timedelta
from hashlib import sha256
from typing import Any

from pydantic import SecretStr

from sisgate.access.policy import (
    LOCAL,
    Action,
    Decision,
    Principal,
    Scope,
    covers_some,
    decide,
    decide_role,
)
from sisgate.access.tokens import principal_of, read_token, why_invalid
from sisgate.audit import log as audit
from sisgate.clock import Clock
from sisgate.errors import AccessDenied, NotAuthenticated
from sisgate.ledger.access import note_use
from sisgate.ledger.database import Database
from sisgate.ledger.schema import AccessToken

CACHE_SECONDS = 1.0
"""How long a gateway relies on what it knows of its token: a revocation holds within a second."""

MOST_KNOWN = 10_000
"""Tokens that a service remembers."""

USE_NOTED_EVERY = timedelta(minutes=1)
"""The last use of a token is written at most this often."""


def authenticate(database: Database, clock: Clock, text: str | None) -> Principal:
    """Return whom a token stands for; `NotAuthenticated` if it is not valid."""

    def refused(token_id: str, reason: str, message: str) -> NotAuthenticated:
        _audit(
            database, clock, "unknown", "access:token:refuse", f"token {token_id}",
            reason=reason, by="gateway",
        )  # fmt: skip
        return NotAuthenticated(message)

    if not text:
        raise refused(
            "none",
            "none given",
            "A token is needed here, and none was given. Set SISGATE_TOKEN or SISGATE_TOKEN_FILE "
            "to one; an admin makes it with `sisgate tokens add`.",
        )
    token = read_token(text.strip())
    if token is None:
        raise refused(
            "none",
            "not a token",
            "This is not a sisgate token: it was truncated or mistyped. A token reads "
            "sisgate_ID_SECRET, as `sisgate tokens add` printed it.",
        )
    now = clock.now()
    with database.read() as session:
        row = session.get(AccessToken, token.id)
    # Compared even if there is no such token, so that the time taken reveals nothing.
    is_same = token.matches(row)
    reason: str | None = "unknown"
    if row is not None:
        reason = why_invalid(row, now) if is_same else "wrong secret"
    if row is None or reason is not None:
        raise refused(
            token.id,
            str(reason),
            "The token is not valid (any more). Ask an admin for a new one: `sisgate tokens list` "
            "shows those that are.",
        )
    if row.last_used_at is None or now - row.last_used_at >= USE_NOTED_EVERY:
        with database.write() as session:
            note_use(session, token.id, now, now - USE_NOTED_EVERY)
    return principal_of(row)


def _audit(
    database: Database, clock: Clock, actor: str, action: str, subject: str, **detail: Any
) -> None:
    with database.write() as session:
        audit.record(session, clock.now(), actor=actor, action=action, subject=subject, **detail)


class KnownTokens:
    """The valid tokens that a service has seen within `CACHE_SECONDS`, by their digest."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[bytes, tuple[float, Principal]] = {}

    def principal(self, text: str | None) -> Principal:
        """Return whom a token stands for; `NotAuthenticated` if it is not valid."""
        now, digest = self._clock.monotonic(), sha256((text or "").strip().encode()).digest()
        seen_at, principal = self._known.get(digest, (0.0, None))
        if principal is not None and now - seen_at < CACHE_SECONDS:
            return principal
        principal = authenticate(self._database, self._clock, text)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[digest] = now, principal
        return principal


class Authorizer:
    """Decides what one caller may do, and audits each refusal.

    With `required` a token must be given. Without `required` and `token`, the user of this machine,
    who has the database at hand, is `local` and may do everything. `principal` stands for a caller
    that is known already, such as the fleet itself.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        required: bool = False,
        token: SecretStr | None = None,
        principal: Principal | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._required = required
        self._token = token
        self._fixed = principal
        self._cached: tuple[float, Principal] | None = None
        self._lock = threading.Lock()

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing says who the caller is: neither a token nor a principal was given."""
        return self._token is None and self._fixed is None

    def principal(self) -> Principal:
        """Return the caller; `NotAuthenticated` if its token is missing or not valid."""
        if self._fixed is not None:
            return self._fixed
        if self.is_anonymous and not self._required:
            return LOCAL
        with self._lock:
            now, cached = self._clock.monotonic(), self._cached
            if cached is not None and now - cached[0] < CACHE_SECONDS:
                return cached[1]
            text = self._token.get_secret_value() if self._token else None
            principal = authenticate(self._database, self._clock, text)
            if cached is None:
                self._audit("access:token:login", f"token {principal.token_id}", principal)
            self._cached = (now, principal)
            return principal

    def allows(
        self, action: Action, provider: str | None = None, resource: str | None = None
    ) -> bool:
        """Return whether the caller may do something there; a refusal is not audited."""
        return decide(self.principal(), action, provider, resource).allowed

    def allows_some(self, action: Action) -> bool:
        """Return whether the caller's roles allow an action anywhere at all, unaudited."""
        return decide_role(self.principal(), action).allowed

    def require(
        self, action: Action, provider: str | None = None, resource: str | None = None
    ) -> Principal:
        """Return the caller if it may do something there; else audit that and raise `AccessDenied`.

        Without `resource` it is about the whole provider, without `provider` about the whole
        installation.
        """
        principal = self.principal()
        decision = decide(principal, action, provider, resource)
        if not decision.allowed:
            self.refuse(principal, action, str(Scope(provider or "*", resource or "*")), decision)
        return principal

    def require_role(self, action: Action) -> Principal:
        """Return the caller if its roles allow an action anywhere at all, else as `require`."""
        principal = self.principal()
        decision = decide_role(principal, action)
        if not decision.allowed:
            self.refuse(principal, action, "*", decision)
        return principal

    def require_any(self, action: Action, provider: str) -> Principal:
        """Return the caller if it may do it with some resource of a provider, else as `require`."""
        principal = self.require_role(action)
        if not covers_some(principal, provider):
            self.refuse(principal, action, provider, decide(principal, action, provider))
        return principal

    def refuse(
        self, principal: Principal, action: Action, subject: str, decision: Decision
    ) -> None:
        """Audit a refusal and raise `AccessDenied`."""
        self.note_refusal(action, subject, decision.reason)
        raise AccessDenied(
            f"{principal.name} may not do that: {decision.reason}. "
            f"{_remedy(principal, action, subject)}",
            action=action.value,
            subject=subject,
            token=principal.token_id,
        )

    def note_refusal(self, action: Action, subject: str, reason: str) -> None:
        """Audit that the caller was refused something."""
        self._audit(f"access:{action.value}:refuse", subject, self.principal(), reason=reason)

    def _audit(self, action: str, subject: str, principal: Principal, **detail: Any) -> None:
        _audit(self._database, self._clock, principal.actor, action, subject, **detail)


def _remedy(principal: Principal, action: Action, subject: str) -> str:
    """Return what a refused caller can do. A message of the broker carries no token."""
    if principal.kind != "broker":
        return "Ask an admin for a token that may (`sisgate tokens add`)."
    if action is Action.ENQUEUE:
        return (
            "What an app that has only Celery may ask for is set by `broker_scopes` in the "
            f"configuration: {subject} belongs there."
        )
    return (
        "No setting gives that to an app that has only Celery (`broker_scopes` is for syncs): ask "
        "with the gateway or `sisgate`."
    )
