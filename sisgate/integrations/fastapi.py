"""sisgate in a FastAPI or Starlette app: requests below a prefix go to providers.

::

    app = FastAPI()
    app.add_middleware(SISGateMiddleware)

Then `GET /sis/powerschool/ws/v1/district` is a call to the provider `powerschool`, within its quota
and with its keys, and its answer is that of the provider.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sisgate.domain.headers import is_passed_on, named_in_connection, usable_headers
from sisgate.errors import AccessDenied, ConfigurationError, NotAuthenticated, SisgateError
from sisgate.gateway import Gateway
from sisgate.integrations.asking import Asked, Asking
from sisgate.integrations.bodies import Body, BodyRefused, CallerGone
from sisgate.integrations.call_options import CallOptions
from sisgate.integrations.interception import (
    Intercepted,
    Interception,
    Interceptor,
    query_of,
    sent_path,
)
from sisgate.integrations.process_gateway import ProcessGateway
from sisgate.integrations.responses import not_allowed, of_error, of_problem, of_refusal
from sisgate.tracing import in_trace_of

if TYPE_CHECKING:
    from sisgate.client import HttpGateway

__all__ = [
    "CallOptions", "Interception", "SISGateMiddleware", "answer_with_problem", "gateway_lifespan",
    "gateway_of",
]  # fmt: skip

STATE = "sisgate"
"""The name of our `ProcessGateway` in the state of app and request."""

REQUEST_HEADERS = ("accept", "if-modified-since", "if-none-match")
"""Headers of callers that a provider gets by default, beside the type of a body."""

Decision = Callable[[Request], bool | Awaitable[bool]]


class SISGateMiddleware:
    """Sends requests below `prefix` through the gateway; everything else goes to the app.

    - `gateway` is the app's own; without one, it is made when the app starts, and closed when it
      ends: an `HttpGateway` where `SISGATE_URL` is set, whose token names the app, and else one
      from this process's settings, in the name of `name`.
    - `rules` send further paths to providers, and come before the prefix. `providers` are those
      that are served; None for all.
    - `authorize` is asked for each intercepted request whether its caller may make it; it may raise
      an `HTTPException`. Without it, everyone may who gets as far as this middleware.
    - `options` say how calls are made. Callers may ask for other values by header, within the
      bounds, where `accept_headers` is True or says so.
    - `request_headers` are passed on from the caller. Cookies and authorization never are.
    - Bodies are read up to `max_body_bytes`, for `body_seconds` seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        gateway: Gateway | HttpGateway | None = None,
        *,
        name: str | None = None,
        prefix: str = "/sis",
        rules: Sequence[Interception] = (),
        providers: Collection[str] | None = None,
        authorize: Decision | None = None,
        options: CallOptions | None = None,
        accept_headers: bool | Decision = False,
        request_headers: Collection[str] = REQUEST_HEADERS,
        max_body_bytes: int = 1_048_576,
        body_seconds: float = 30.0,
    ) -> None:
        self._app = app
        self._process = ProcessGateway(gateway, app=name)
        self._interceptor = Interceptor(prefix, rules, providers)
        self._asking = Asking(self._process, self._interceptor)
        self._authorize = authorize
        self._options = options or CallOptions()
        self._accepts_headers = accept_headers
        self._request_headers = frozenset(usable_headers(dict.fromkeys(request_headers, "-"))) | {
            "content-type"
        }
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a provider; pass everything else on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._with_lifespan(send))
            return
        scope.setdefault("state", {})[STATE] = self._process
        with in_trace_of(scope["headers"]):
            await self._pass(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = sent_path(scope) if scope["type"] == "http" else None
        if path is None or not self._interceptor.is_for_us(path, scope["method"]):
            await self._app(scope, receive, send)
            return
        body = Body(Headers(scope=scope), receive, self._max_body_bytes, self._body_seconds)
        response = await self._response(Request(scope, body.receive), body, path)
        if response is not None:
            if scope["method"] == "HEAD" and "content-length" in response.headers:
                del response.headers["content-length"]  # that of a GET is not known
            await response(scope, receive, send)

    async def _response(self, request: Request, body: Body, path: str) -> Response | None:
        """Return the response to an intercepted request; None if its caller is gone."""
        try:
            intercepted = self._interceptor.match(path, request.method)
            return await self._answer(request, body, intercepted)
        except SisgateError as error:
            return await answer_with_problem(request, error)
        except BodyRefused as refused:
            # What is left of the body is not read; HTTP/2 has no such header (RFC 9113, 8.2.2).
            ends = {"Connection": "close"} if request.scope["http_version"] < "2" else {}
            return of_problem(refused.problem, ends)
        except HTTPException as refusal:  # of the app's own decision
            return of_refusal(refusal, request.url.path)
        except CallerGone:
            return None

    async def _answer(self, request: Request, body: Body, intercepted: Intercepted) -> Response:
        if self._authorize is not None and not await _decided(self._authorize, request):
            raise AccessDenied("You may not make this request.")
        is_trusted = await _decided(self._accepts_headers, request)
        options = self._options.asked(request.headers, is_trusted=is_trusted)
        root_path = request.scope.get("root_path", "").rstrip("/")
        if intercepted.job_id is not None:
            if request.method not in {"GET", "HEAD"}:
                return not_allowed(request.url.path)
            wait = options.timeout if "prefer" in request.headers else 0.0
            return await _as_the_app(
                self._asking.look(intercepted.job_id, options.purpose, root_path, wait=wait)
            )
        query = query_of(request.scope)
        content = await body.read()
        headers = self._passed_on(request, has_body=bool(content))
        asked = Asked(
            intercepted.provider, request.method, intercepted.path, query, content, headers,
            root_path,
        )  # fmt: skip
        return await _as_the_app(self._asking.ask(asked, options))

    def _passed_on(self, request: Request, *, has_body: bool) -> dict[str, str]:
        """Return the caller's headers that the provider gets."""
        connection = named_in_connection(request.headers.getlist("connection"))
        headers: dict[str, str] = {}
        for name in sorted(self._request_headers - connection):
            values = request.headers.getlist(name)
            # Whoever accepts anything gets the provider's JSON, not what the provider likes best.
            is_idle = (name == "accept" and values == ["*/*"]) or (
                name == "content-type" and not has_body
            )
            if values and is_passed_on(name) and not is_idle:
                headers[name] = ", ".join(values)
        return headers

    def _with_lifespan(self, send: Send) -> Send:
        """Make the gateway before the app is ready, and close it after the app has ended."""

        async def sending(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                try:
                    await self._process.get()
                except SisgateError as error:
                    message = {"type": "lifespan.startup.failed", "message": error.message}
            if message["type"].startswith("lifespan.shutdown."):
                await self._process.close()
            await send(message)

        return sending


async def _as_the_app(response: Awaitable[Response]) -> Response:
    """Return it. A token that is refused here is the app's own, so its caller gets no 401."""
    try:
        return await response
    except NotAuthenticated as error:
        raise ConfigurationError(error.message) from error


async def _decided(decision: bool | Decision, request: Request) -> bool:
    if isinstance(decision, bool):
        return decision
    answer = decision(request)
    return await answer if inspect.isawaitable(answer) else answer


def gateway_lifespan(
    gateway: Gateway | HttpGateway | None = None, *, name: str | None = None
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Return a lifespan for an app without the middleware: `FastAPI(lifespan=gateway_lifespan())`.

    Makes the gateway when the app starts, as `SISGateMiddleware` does, and closes it when the app
    ends. One that is given is the app's to close.
    """

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[Mapping[str, Any]]:
        process = ProcessGateway(gateway, app=name)
        await process.get()
        try:
            yield {STATE: process}
        finally:
            await process.close()

    return lifespan


async def answer_with_problem(request: Request, error: Exception) -> Response:
    """Return the problem document of an error that a route raised.

    As in `app.add_exception_handler(SisgateError, answer_with_problem)`.
    """
    assert isinstance(error, SisgateError)
    return of_error(error, request.url.path)


async def gateway_of(request: HTTPConnection) -> Gateway | HttpGateway:
    """Return the gateway, as a dependency: `gateway: Annotated[Gateway, Depends(gateway_of)]`.

    Its methods block: use it in routes that are `def`, not `async def`.
    """
    process = getattr(request.state, STATE, None)
    if not isinstance(process, ProcessGateway):
        raise ConfigurationError(
            "This app has no gateway: add SISGateMiddleware, or start it with "
            "lifespan=gateway_lifespan()."
        )
    return await process.get()
