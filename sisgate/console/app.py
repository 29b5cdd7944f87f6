"""The ASGI application of the console."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from sisgate.clock import SystemClock
from sisgate.console import pages
from sisgate.console.acts import asked_again
from sisgate.console.forms import form_of
from sisgate.console.live import Streams
from sisgate.console.navigation import ENTRIES, menu_of, nearest
from sisgate.console.preferences import preferences_of
from sisgate.console.printing import HEADERS, printed
from sisgate.console.rooms import ConsoleRoute, Done, Printable, Result, View, Visit
from sisgate.console.suggestions import suggestions_for
from sisgate.console.templates import Templates
from sisgate.console.visitors import COOKIE, LoginBound, Visitors
from sisgate.errors import (
    AccessDenied,
    NotAuthenticated,
    NotFound,
    SisgateError,
    TooManyRequests,
    UsageError,
)
from sisgate.gateway import Gateway
from sisgate.problem_details import problem_of, status_of

HERE = Path(__file__).parent

NOTICE = "sisgate_notice"
"""The cookie that carries what an action says to the page after it."""


def _digest_of(folder: Path) -> str:
    """Return what changes with any of the files: browsers keep each for a year."""
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    return sha256(b"".join(each.read_bytes() for each in files)).hexdigest()[:12]


ASSETS = _digest_of(HERE / "static")


class KeptFiles(StaticFiles):
    """Static files, which browsers keep: their addresses change with them."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a file."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


class Console:
    """The pages of one gateway, as an ASGI application. `stop` ends its open streams."""

    def __init__(self, gateway: Gateway, failed: LoginBound) -> None:
        self.clock = SystemClock()
        self.routes: list[ConsoleRoute] = [each for room in pages.ROOMS for each in room.routes]
        self._visitors = Visitors(gateway, failed)
        self._templates = Templates(self.clock, ASSETS)
        self._streams = Streams(self.routes, self.visitor, self._fragment, ASSETS)
        files = KeptFiles(directory=HERE / "static")
        self._app = Starlette(
            routes=[
                Mount("/static", files, name="static"),
                Route("/login", self._login_page, methods=["GET"]),
                Route("/login", self._log_in, methods=["POST"]),
                Route("/logout", self._log_out, methods=["POST"]),
                Route("/preferences", self._prefer, methods=["POST"]),
                Route("/suggestions", self._suggest, methods=["GET"]),
                Route("/live", self._streams.open, methods=["GET"]),
                *(Route(r.path, self._endpoint(r), methods=[r.method]) for r in self.routes),
            ],
            exception_handlers={
                SisgateError: self._failed,
                HTTPException: self._failed,
                Exception: self._failed,
            },
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    def stop(self) -> None:
        """End the open streams: browsers connect again when there is somebody to connect to."""
        self._streams.stop()

    async def visitor(self, request: Request) -> Gateway:
        """Return the gateway as the visitor may use it; `NotAuthenticated` for a stranger."""
        return await run_in_threadpool(self._visitors.of, request)

    def _fragment(self, route: ConsoleRoute, visit: Visit) -> str | None:
        view = route.result(visit)
        if not isinstance(view, View):
            raise UsageError("There is no such page to follow.")
        return self._templates.live(view.template, view.values)

    def _endpoint(self, route: ConsoleRoute) -> Any:
        async def endpoint(request: Request) -> Response:
            gateway = await self.visitor(request)
            form: Mapping[str, str] = {}
            if route.method == "POST":
                form = await form_of(request)
                self._visitors.check_mark(request, form.get("mark", ""))
            visit = Visit(gateway, request.query_params, request.path_params, form)
            return await run_in_threadpool(self._answer, route, visit, request)

        return endpoint

    def _answer(self, route: ConsoleRoute, visit: Visit, request: Request) -> Response:
        try:
            result = route.result(visit)
        except UsageError as error:
            again = self._form_again(route, visit, error)
            if again is None:
                raise
            return self._page(request, visit, again, status_of(error))
        if isinstance(result, Done):
            return _told(result)
        if isinstance(result, Printable):
            return printed(result.html)
        return self._page(request, visit, result)

    def _form_again(self, route: ConsoleRoute, visit: Visit, error: UsageError) -> View | None:
        """Return the page of a form with what was typed and the mistake in it; None without one."""
        name, typed = error.detail.get("field"), visit.form
        page: Result | None
        if route.method == "GET":
            typed = dict(visit.query)
            if name not in typed:
                return None
            rest = {each: value for each, value in typed.items() if each != name}
            page = route.result(replace(visit, query=QueryParams(rest)))
        elif name is None and status_of(error) != HTTPStatus.UNPROCESSABLE_ENTITY:
            return None  # not what was typed is wrong
        else:
            twin = "GET", route.path
            form = next((each for each in self.routes if (each.method, each.path) == twin), None)
            rest = {each: value for each, value in typed.items() if each != name}
            page = form.result(replace(visit, form=rest)) if form is not None else None
        if not isinstance(page, View) or (name is None and "fields" not in page.values):
            return None
        return asked_again(page, typed, error)

    def _page(
        self, request: Request, visit: Visit | None, view: View, status: int = 200
    ) -> Response:
        notice = _notice_of(request)
        principal = visit.gateway.access.principal() if visit is not None else None
        values = {
            "mistake": None,
            **view.values,
            "title": view.title,
            "menu": menu_of(visit) if visit is not None else [],
            "entries": ENTRIES,
            "here": request.url.path,
            "this": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            "mark": self._visitors.mark(request),
            "who": principal,
            "has_session": COOKIE in request.cookies,
            "notice": notice,
            "preferences": preferences_of(request),
        }
        text = self._templates.page(view.template, values)
        response = HTMLResponse(text, status, HEADERS)
        if notice is not None:
            response.delete_cookie(NOTICE)
        return response

    async def _login_page(self, request: Request) -> Response:
        return self._login_form(request, request.query_params.get("next", "/"))

    def _login_form(
        self, request: Request, following: str, problem: str = "", status: int = 200
    ) -> Response:
        values = {"next": _own_path(following), "problem": problem}
        return self._page(request, None, View("login.html", "Log in", values), status)

    async def _log_in(self, request: Request) -> Response:
        form = await form_of(request)
        following = _own_path(form.get("next", "/"))
        response = RedirectResponse(following, 303)
        token = form.get("token", "").strip()
        try:
            await run_in_threadpool(self._visitors.log_in, request, token, response)
        except (NotAuthenticated, TooManyRequests) as error:
            status = 429 if isinstance(error, TooManyRequests) else 401
            return self._login_form(request, following, _plain(error.message), status)
        return response

    async def _log_out(self, request: Request) -> Response:
        form = await form_of(request)
        self._visitors.check_mark(request, form.get("mark", ""))
        response = RedirectResponse("/login", 303)
        await run_in_threadpool(self._visitors.log_out, request, response)
        return response

    async def _prefer(self, request: Request) -> Response:
        form = await form_of(request)
        self._visitors.check_mark(request, form.get("mark", ""))
        response = RedirectResponse(_own_path(form.get("next", "/")), 303)
        preferences_of(request).changed(form).keep(response)
        return response

    async def _suggest(self, request: Request) -> Response:
        gateway = await self.visitor(request)
        visit = Visit(gateway, request.query_params, {})
        word = request.query_params.get("word", "")[:100]
        return JSONResponse(await run_in_threadpool(suggestions_for, visit, word))

    async def _failed(self, request: Request, error: Exception) -> Response:
        """Show an error as a page in words; strangers are asked to log in first."""
        try:
            gateway = await self.visitor(request)
        except SisgateError as stranger:
            if not isinstance(error, NotAuthenticated) and not isinstance(
                stranger, NotAuthenticated
            ):
                return self._error_page(request, None, error)
            if request.url.path == "/live":
                return Response("Log in again.", 401)
            back = request.url.path if request.method == "GET" else "/"
            query = f"?{request.url.query}" if back != "/" and request.url.query else ""
            return RedirectResponse(f"/login?{urlencode({'next': back + query})}", 303)
        visit = Visit(gateway, request.query_params, {})
        return await run_in_threadpool(self._error_page, request, visit, error)

    def _error_page(self, request: Request, visit: Visit | None, error: Exception) -> Response:
        problem, path = _problem_of(error), request.url.path
        is_missing = problem["status"] == HTTPStatus.NOT_FOUND
        values = {
            "problem": problem,
            "nearest": nearest(visit, path) if visit is not None else None,
            "is_action": request.method == "POST" and not isinstance(error, AccessDenied),
            "word": path.rpartition("/")[2] if is_missing and path.count("/") <= len("//") else "",
        }
        return self._page(request, visit, View("error.html", problem["title"], values),
                          problem["status"])  # fmt: skip


def _problem_of(error: Exception) -> dict[str, Any]:
    """Return what an error page shows. A mistake of ours is in the log of the process only."""
    if isinstance(error, NotFound):  # its page has links instead of commands
        sentences = re.split(r"(?<=\.) ", error.message)
        plain = " ".join(each for each in sentences if "`" not in each)
        return problem_of(error) | {"detail": plain or _plain(error.message)}
    if isinstance(error, SisgateError):
        return problem_of(error) | {"detail": _plain(error.message)}
    if isinstance(error, HTTPException):
        is_missing = error.status_code == 404
        told = (
            NotFound("There is no such page.") if is_missing else UsageError("Not done this way.")
        )
        return problem_of(told) | {"status": error.status_code}
    return problem_of(SisgateError("The console has failed at this page. Its log says more."))


def _own_path(text: str) -> str:
    """Return a path of this service: a link must not lead elsewhere after logging in."""
    is_own = text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if is_own and text.isprintable() else "/"


def _plain(message: str) -> str:
    """Return the message without what only a shell needs."""
    return message.replace("`", "")


def _told(done: Done) -> Response:
    response = RedirectResponse(done.path, 303)
    if not done.message:
        return response
    text = urlsafe_b64encode(json.dumps(done.message[:1000]).encode()).decode()
    response.set_cookie(NOTICE, text, max_age=60, httponly=True, samesite="strict")
    return response


def _notice_of(request: Request) -> str | None:
    with suppress(ValueError):
        text = json.loads(urlsafe_b64decode(request.cookies.get(NOTICE, "")))
        return text if isinstance(text, str) else None
    return None
