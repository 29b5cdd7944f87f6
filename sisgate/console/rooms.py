"""What a page is: its path, the right that it needs, and the function that reads what it shows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from starlette.datastructures import QueryParams

from sisgate.clock import SystemClock
from sisgate.errors import UsageError
from sisgate.gateway import Action, Gateway

CLOCK = SystemClock()

ACTOR = "console"
"""The name in the audit log of a visitor without a token."""

WHOLE_ID = 36
"""Characters of the longest id of a job. One that an app has chosen may be shorter."""

Where = Literal["anywhere", "installation", "provider", "part of provider", "dataset", "job"]
"""Where the right is needed; `provider`, `resource` and `job_id` are parts of the path."""


@dataclass(frozen=True)
class Visit:
    """One request of a visitor: who, what of, and with which answers to a form."""

    gateway: Gateway
    query: QueryParams
    places: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The time of this machine."""
        return CLOCK.now()

    def allows(self, action: Action, provider: str | None = None) -> bool:
        """Return whether the visitor may do something: pages leave out what they may not."""
        return self.gateway.access.allows(action, provider)

    def asked(self, name: str) -> str:
        """Return what a form or the address asks for by that name, '' for nothing."""
        return self.form.get(name, self.query.get(name, ""))

    @property
    def purpose(self) -> str:
        """Why student data is looked at, for the audit log; `UsageError` without one.

        Only a form gives it: addresses are kept by browsers and proxies.
        """
        purpose = self.form.get("purpose", "").strip()[:500]
        if not purpose:
            what = "Say why you look at student data: the audit log keeps the purpose."
            raise UsageError(what, field="purpose")
        return purpose

    def sees(self, provider: str, resource: str | None = None) -> bool:
        """Return whether the visitor has payload sight there."""
        return self.gateway.access.allows(Action.SIGHT, provider, resource)

    @property
    def reason(self) -> str | None:
        """The reason of an action, for the audit log."""
        return self.form.get("reason", "").strip()[:500] or None


@dataclass(frozen=True)
class View:
    """What to show: a template and its values. The block `live` of it is kept up to date."""

    template: str
    title: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """An action's end: where to go on, and what to say there."""

    path: str
    message: str


@dataclass(frozen=True)
class Printable:
    """A whole page of HTML with a style sheet of its own, and without scripts."""

    html: str


Result = View | Done | Printable

Handler = Callable[[Visit], Result]


@dataclass(frozen=True)
class ConsoleRoute:
    """One page or action, with what it needs."""

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    action: Action
    where: Where

    def result(self, visit: Visit) -> Result:
        """Check the right to come here, and do what the route does; the gateway asks again.

        The beginning of a job's id leads to the page of the one that has it.
        """
        job_id = visit.places.get("job_id", "")
        if self.method == "GET" and self.where == "job" and len(job_id) < WHOLE_ID:
            whole = visit.gateway.jobs.find(job_id)
            if whole != job_id:
                query = f"?{visit.query}" if visit.query else ""
                places = {**visit.places, "job_id": whole}
                return Done(f"{self.path.format(**places)}{query}", "")
        self._check(visit)
        return self.handler(visit)

    def _check(self, visit: Visit) -> None:
        access, provider = visit.gateway.access, visit.places.get("provider", "")
        match self.where:
            case "anywhere":
                access.require_role(self.action)
            case "job":  # one that may not be seen is not there; whose it is, the gateway knows
                visit.gateway.jobs.status(visit.places["job_id"])
                access.require_role(self.action)
            case "installation":
                access.require(self.action)
            case "provider":
                access.require(self.action, provider)
            case "part of provider":
                access.require_any(self.action, provider)
            case "dataset":
                access.require(self.action, provider, visit.places.get("resource"))


class Room:
    """The pages and actions of one module."""

    def __init__(self) -> None:
        self.routes: list[ConsoleRoute] = []

    def page(self, path: str, action: Action, where: Where) -> Callable[[Handler], Handler]:
        """Register a page."""
        return self._route("GET", path, action, where)

    def finder(self, path: str, action: Action, where: Where) -> Callable[[Handler], Handler]:
        """Register a page that is also the answer to a form, which says what to look for.

        What names a person is in no address: browsers, proxies and their logs keep addresses.
        """
        register = self.page(path, action, where), self.action(path, action, where)
        return lambda handler: register[1](register[0](handler))

    def action(self, path: str, action: Action, where: Where) -> Callable[[Handler], Handler]:
        """Register what a form does."""
        return self._route("POST", path, action, where)

    def _route(
        self, method: Literal["GET", "POST"], path: str, action: Action, where: Where
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.routes.append(ConsoleRoute(method, path, handler, action, where))
            return handler

        return register
