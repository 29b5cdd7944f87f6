"""The check that the gateway, the command line and the web share: who asks, and whether they may.

What is refused is told alike for an unknown, a revoked and an expired token, so that nobody learns
from it which tokens exist. The audit log has the exact reason.
"""

from __future__ import annotations

import threading

from pydantic import SecretStr

from sisgate.access import store
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
from sisgate.access.token import Token, read_token
from sisgate.audit import log as audit
from sisgate.clock import Clock
from sisgate.errors import AccessDenied, NotAuthenticated
from sisgate.ledger.access import note_use
from sisgate.ledger.database import Database
from sisgate.ledger.schema import AccessToken

KNOWN_FOR_SECONDS = 1.0
"""How long a gateway goes by what it knows of its token: a revocation holds within a second."""


def authenticate(
    database: Database, clock: Clock, text: str | None, *, by: str = "gateway"
) -> Principal:
    """Return who a token stands for; `NotAuthenticated` where it is not good.

    `by` says in the audit log which way in was used. The last use is noted at most once a minute.
    """
    if not text:
        _note_refusal(database, clock, "none", by, "none given")
        raise NotAuthenticated(
            "A token is needed here, and none was given. Set SISGATE_TOKEN or SISGATE_TOKEN_FILE "
            "to one; an admin makes it with `sisgate tokens add`."
        )
    token = read_token(text.strip())
    if token is None:
        _note_refusal(database, clock, "none", by, "not a token")
        raise NotAuthenticated(
            "What was given is not a token of sisgate: it was cut or mistyped. A token is "
            "sisgate_ID_SECRET, as `sisgate tokens add` printed it."
        )
    now = clock.now()
    with database.read() as session:
        row = session.get(AccessToken, token.id)
    # Compared also where there is no such token, so that the time taken tells nothing.
    is_same = store.is_of(token, row)
    if row is None:
        raise _refused(database, clock, token, by, "unknown")
    wrong = store.why_refused(row, now) if is_same else "wrong secret"
    if wrong is not None:
        raise _refused(database, clock, token, by, wrong)
    if store.use_is_due(row, now):
        with database.write() as session:
            note_use(session, token.id, now, now - store.USE_NOTED_EVERY)
    return store.principal_of(row)


def _refused(
    database: Database, clock: Clock, token: Token, by: str, reason: str
) -> NotAuthenticated:
    """Note a refused login with its exact reason; return the error, which is always the same."""
    _note_refusal(database, clock, token.id, by, reason)
    return NotAuthenticated(
        "The token is not valid (any more). Ask an admin for a new one: `sisgate tokens list` "
        "shows those that are."
    )


def _note_refusal(database: Database, clock: Clock, token_id: str, by: str, reason: str) -> None:
    with database.write() as session:
        audit.record(
            session,
            clock.now(),
            actor="unknown",
            action="access:token:refuse",
            subject=f"token {token_id}",
            reason=reason,
            by=by,
        )


class Authorizer:
    """What one gateway asks before it does something.

    With `required` a token must be given. Without, and with no token given, the user of this
    machine with the database at hand is `local`, who may do everything. `principal` stands for
    a caller that is known already, such as the fleet itself.
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
        self._known: tuple[float, Principal] | None = None
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether nobody is asked who they are: no token is required, and none was given."""
        return self._fixed is not None or (not self._required and self._token is None)

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing says who asks: no token was given, and the caller is not known."""
        return self._token is None and self._fixed is None

    def principal(self) -> Principal:
        """Return who asks; `NotAuthenticated` where that is nobody we know."""
        if self._fixed is not None:
            return self._fixed
        if self.is_open:
            return LOCAL
        with self._lock:
            now, known = self._clock.monotonic(), self._known
            if known is not None and now - known[0] < KNOWN_FOR_SECONDS:
                return known[1]
            text = self._token.get_secret_value() if self._token else None
            found = authenticate(self._database, self._clock, text)
            if known is None:
                self._note_login(found)
            self._known = (now, found)
            return found

    def allows(
        self, action: Action, provider: str | None = None, resource: str | None = None
    ) -> bool:
        """Return whether who asks may do something there, without a word in the audit log."""
        return decide(self.principal(), action, provider, resource).allowed

    def require(
        self, action: Action, provider: str | None = None, resource: str | None = None
    ) -> Principal:
        """Return who asks if they may do something there.

        Without `resource` it is about the whole provider, without `provider` about the whole
        installation. Raises `AccessDenied`, which the audit log then knows of.
        """
        principal = self.principal()
        decision = decide(principal, action, provider, resource)
        if not decision.allowed:
            self.refuse(principal, action, str(Scope(provider or "*", resource or "*")), decision)
        return principal

    def require_role(self, action: Action) -> Principal:
        """Return who asks if their roles allow an action anywhere at all; `AccessDenied` else."""
        principal = self.principal()
        decision = decide_role(principal, action)
        if not decision.allowed:
            self.refuse(principal, action, "*", decision)
        return principal

    def require_any(self, action: Action, provider: str) -> Principal:
        """Return who asks if they may do something with some resource of a provider."""
        principal = self.require_role(action)
        if not covers_some(principal, provider):
            self.refuse(principal, action, provider, decide(principal, action, provider))
        return principal

    def refuse(
        self, principal: Principal, action: Action, subject: str, decision: Decision
    ) -> None:
        """Note a refusal in the audit log and raise `AccessDenied`."""
        self.note_refusal(action, subject, decision.reason)
        raise AccessDenied(
            f"{principal.name} may not do that: {decision.reason}. "
            f"{_remedy(principal, action, subject)}",
            action=action.value,
            subject=subject,
            token=principal.token_id,
        )

    def note_refusal(self, action: Action, subject: str, reason: str) -> None:
        """Note in the audit log that who asks was refused something."""
        with self._database.write() as session:
            audit.record(
                session,
                self._clock.now(),
                actor=self.principal().actor,
                action=f"access:{action.value}:refuse",
                subject=subject,
                reason=reason,
            )

    def _note_login(self, principal: Principal) -> None:
        with self._database.write() as session:
            audit.record(
                session,
                self._clock.now(),
                actor=principal.actor,
                action="access:token:login",
                subject=f"token {principal.token_id}",
            )


def _remedy(principal: Principal, action: Action, subject: str) -> str:
    """Return what helps who was refused. A message of the broker carries no token."""
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
