"""Who asks: the bearer of a token, or this machine's user; and how often they may.

Pure ASGI. Every path of the API needs a token where tokens are required, also those that don't
exist, but for the health checks, which show strangers a word only.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sisgate.errors import NotAuthenticated, TooManyRequests
from sisgate.gateway import Gateway
from sisgate.settings.web import WebConfig
from sisgate.tracing import in_trace_of
from sisgate.web.inbound import FailedLogins, Headers, InboundLimits

T = TypeVar("T")

CALLER = "sisgate.caller"
"""The key of the ASGI scope under which routes find the caller's gateway; None for a stranger."""

NO_TOKEN = (
    "A token is needed here, and none was given. Send it as `Authorization: Bearer TOKEN` "
    "(HttpGateway: set SISGATE_TOKEN); an admin makes one with `sisgate tokens add`."
)

FOR_STRANGERS = frozenset({"/health/live", "/health/ready"})


class Identity:
    """Finds the caller of each request and counts against the caller's own limit.

    Limits protect the service; a provider's quota is counted elsewhere and exactly.
    """

    def __init__(
        self, app: ASGIApp, gateway: Gateway, config: WebConfig, failed: FailedLogins
    ) -> None:
        self._app = app
        self._gateway = gateway
        self._config = config
        self._limits = InboundLimits(gateway)
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its caller."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].removeprefix(scope.get("root_path", "")) in FOR_STRANGERS:
            scope[CALLER] = await self._known(scope)
            await self._app(scope, receive, send)
            return
        scope[CALLER], headers = await self._authenticated(scope, self._counted)

        async def with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        with in_trace_of(scope["headers"]):
            await self._app(scope, receive, with_limits)

    async def _known(self, scope: Scope) -> Gateway | None:
        """Return the caller of a path for strangers; None for a stranger."""
        if bearer_of(scope) is None and self._gateway.settings.access == "tokens":
            return None
        try:
            return await self._authenticated(scope, self._gateway.for_token)
        except (NotAuthenticated, TooManyRequests):
            return None

    def _counted(self, token: str | None) -> tuple[Gateway, Headers]:
        """Return the caller, after counting the request, and the headers that say so."""
        caller = self._gateway.for_token(token)
        name = caller.access.principal().name
        return caller, self._limits.count(self._config.limit_of(name), name)

    async def _authenticated(self, scope: Scope, find: Callable[[str | None], T]) -> T:
        client, token = (scope.get("client") or ("unknown",))[0], bearer_of(scope)
        self._failed.refuse_if_spent(client, token)
        try:
            return await run_in_threadpool(find, token)
        except NotAuthenticated as error:
            self._failed.note(client, token)
            if token is None:
                raise NotAuthenticated(NO_TOKEN) from error
            raise


def bearer_of(scope: Scope) -> str | None:
    """Return the token of a request; None without one. `NotAuthenticated` for another scheme."""
    values: list[bytes] = [value for name, value in scope["headers"] if name == b"authorization"]
    if not values:
        return None
    scheme, _, token = values[-1].decode("latin-1").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("Send the token as `Authorization: Bearer TOKEN`.")
    return token.strip()


def caller_of(scope: Any) -> Gateway:
    """Return the caller's gateway of a request that has passed here."""
    caller: Gateway = scope[CALLER]
    return caller
