"""Who may do what, as a pure decision: roles grant actions, scopes say where.

A scope is `PROVIDER`, `PROVIDER/RESOURCE`, `*/RESOURCE` or `*`. What touches a whole provider (a
request, a limit) needs a scope that covers all of it, and what touches the whole installation
needs `*`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

WHOLE = "*"


class Role(StrEnum):
    """What a token is for. Only `app`, `admin` and `sight` read student data.

    `sight` is given beside another role: nobody else sees student data on a page.
    """

    APP = "app"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    SIGHT = "sight"


class Action(StrEnum):
    """What a caller wants to do."""

    LOOK = "look"
    """Jobs, providers, limits, forecasts: no student data."""
    ENQUEUE = "enqueue"
    """Enqueue a sync; cancel or repeat a job, or keep a webhook, of one's own."""
    READ = "read"
    """Records, changes and answers."""
    REQUEST = "request"
    """One call to a provider, with its answer."""
    CONTROL = "control"
    """Limits, pauses, breakers, other apps' jobs, any number of deletions."""
    KEYS = "keys"
    """The providers' keys. Nobody sees their secrets."""
    ADMINISTER = "administer"
    """Tokens, erasure, retention, the audit log."""
    SIGHT = "sight"
    """Payload sight: student data on a page of the console. Each look is a disclosure."""


_OPERATIONS = frozenset({Action.LOOK, Action.ENQUEUE, Action.CONTROL, Action.KEYS})

ALLOWED: Mapping[Role, frozenset[Action]] = {
    Role.APP: frozenset({Action.LOOK, Action.ENQUEUE, Action.READ, Action.REQUEST}),
    Role.VIEWER: frozenset({Action.LOOK}),
    Role.OPERATOR: _OPERATIONS,
    Role.ADMIN: frozenset(Action) - {Action.SIGHT},
    Role.SIGHT: frozenset({Action.READ, Action.SIGHT}),
}


@dataclass(frozen=True)
class Scope:
    """Providers and resources that a token is valid for; `*` stands for any."""

    provider: str = WHOLE
    resource: str = WHOLE

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Return the scope that a text names; `ValueError` if it names none.

        >>> str(Scope.parse("powerschool/students")), str(Scope.parse("lincoln")), Scope.parse("*")
        ('powerschool/students', 'lincoln', Scope(provider='*', resource='*'))
        """
        provider, slash, resource = text.strip().partition("/")
        if not provider or (slash and not resource) or "/" in resource:
            raise ValueError(
                f"a scope is written PROVIDER, PROVIDER/RESOURCE, */RESOURCE or *, not {text!r}"
            )
        return cls(provider, resource or WHOLE)

    def __str__(self) -> str:
        return self.provider if self.resource == WHOLE else f"{self.provider}/{self.resource}"

    def covers(self, provider: str | None, resource: str | None) -> bool:
        """Whether the place is inside; None stands for all providers, or all resources of one."""
        return self.provider in {WHOLE, provider} and self.resource in {WHOLE, resource}


EVERYWHERE = (Scope(),)

OTHER_APPS = "other apps"
"""What an app is told instead of the names of others."""


@dataclass(frozen=True)
class Principal:
    """A caller. With the role `app`, `name` is the app in the ledger."""

    name: str
    roles: frozenset[Role]
    scopes: tuple[Scope, ...] = EVERYWHERE
    kind: Literal["token", "local", "internal", "broker"] = "token"
    token_id: str | None = field(default=None)

    @property
    def actor(self) -> str:
        """Return the caller's name in the audit log."""
        return f"{self.name} (token {self.token_id})" if self.token_id else self.name

    @property
    def token_actor(self) -> str | None:
        """Return the caller's name in the audit log if a token says it, else None."""
        return self.actor if self.kind == "token" else None

    @property
    def sees_all_jobs(self) -> bool:
        """Whether it sees jobs of other apps."""
        return bool(self.roles - {Role.APP, Role.SIGHT})

    def name_of(self, app: str) -> str:
        """Return how an app is named for it: one that is an app sees its own name only."""
        return app if self.sees_all_jobs or app == self.name else OTHER_APPS

    @property
    def only_app(self) -> str | None:
        """The only app of which it is told what fails at that app itself; None for all apps."""
        sees_all = self.sees_all_jobs and decide(self, Action.LOOK).allowed
        return None if sees_all else self.name

    def is_told_of(self, app: str) -> bool:
        """Whether it is told what fails at an app itself, such as its webhooks."""
        return self.only_app in {None, app}

    @property
    def may_name_apps(self) -> bool:
        """Whether it may enqueue in the name of any app."""
        return self.kind != "token" or Role.ADMIN in self.roles


LOCAL = Principal("local", frozenset(Role), kind="local")
"""The user of this machine, who has the database at hand, where no token is required."""

VISITOR = Principal("local", frozenset(Role) - {Role.SIGHT}, kind="local")
"""The same in the console, where payload sight is for whoever logs in with a token that has it."""

INTERNAL = Principal("sisgate", frozenset(Role), kind="internal")
"""The fleet itself."""


def broker_principal(access: str, scopes: Iterable[str] | None) -> Principal:
    """Return whom a message of the broker stands for: an app whose name nobody has proven.

    If the setting `broker_scopes` is set, it may do what that says. Otherwise it may do nothing
    where tokens are required, and everything where they are not.
    """
    if access == "open" and scopes is None:
        return Principal("broker", frozenset(Role), kind="broker")
    return Principal("broker", frozenset({Role.APP}), parse_scopes(scopes or ()), kind="broker")


@dataclass(frozen=True)
class Decision:
    """Whether something is allowed, and if not, why."""

    allowed: bool
    reason: str = ""


def decide(
    principal: Principal, action: Action, provider: str | None = None, resource: str | None = None
) -> Decision:
    """Return whether a principal may do something there.

    Without `resource` it is about a whole provider, without `provider` about everything.

    >>> app = Principal("gradebook", frozenset({Role.APP}), (Scope("lincoln", "students"),))
    >>> decide(app, Action.READ, "lincoln", "students").allowed
    True
    >>> decide(app, Action.READ, "lincoln", "teachers").reason
    'its scopes (lincoln/students) do not cover lincoln/teachers'
    >>> decide(app, Action.CONTROL, "lincoln").reason
    '`control` needs the role operator or admin, and its role is app'
    """
    by_role = decide_role(principal, action)
    if not by_role.allowed:
        return by_role
    if any(scope.covers(provider, resource) for scope in principal.scopes):
        return Decision(True)
    place = str(Scope(provider or WHOLE, resource or WHOLE))
    has = ", ".join(map(str, principal.scopes)) or "none"
    where = "the whole installation" if place == WHOLE else place
    return Decision(False, f"its scopes ({has}) do not cover {where}")


def decide_role(principal: Principal, action: Action) -> Decision:
    """Return whether a principal's roles allow an action anywhere at all."""
    if any(action in ALLOWED[role] for role in principal.roles):
        return Decision(True)
    needed = " or ".join(role.value for role in Role if action in ALLOWED[role])
    has = ", ".join(sorted(role.value for role in principal.roles)) or "none"
    return Decision(False, f"`{action.value}` needs the role {needed}, and its role is {has}")


def covers_some(principal: Principal, provider: str) -> bool:
    """Whether any resource of a provider is in the principal's scopes."""
    return any(scope.provider in {WHOLE, provider} for scope in principal.scopes)


def providers_of(principal: Principal) -> frozenset[str] | None:
    """Return the providers of which a principal's scopes cover anything; None for all."""
    names = frozenset(scope.provider for scope in principal.scopes)
    return None if WHOLE in names else names


def parse_scopes(texts: Iterable[str]) -> tuple[Scope, ...]:
    """Return the scopes of texts, each once; `ValueError` for the first that is none."""
    return tuple(dict.fromkeys(Scope.parse(text) for text in texts))
