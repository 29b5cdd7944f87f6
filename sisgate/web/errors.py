"""Every error of the service as a problem document (RFC 9457), whoever raised it.

Statuses and types are those of `sisgate.problem_details`. What HTTP itself knows and the error tree
does not, such as a body that is too large, is a `usage` problem with a status of its own.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from itertools import chain
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from sisgate.errors import NotFound, SisgateError, UsageError
from sisgate.problem_details import MEDIA_TYPE, headers_of, problem_of

MOST_PROBLEMS = 20
"""Mistakes that one answer lists."""

_TEXTS = {
    400: "The body of the request cannot be read.",
    404: "Nothing is at this path. /v1/openapi.json lists what there is.",
    405: "This path does not take this method.",
    408: "The body of the request did not arrive in time.",
    411: "A request with a body needs a Content-Length.",
    413: "The body of the request is too large.",
    415: "A body is JSON: send Content-Type: application/json.",
    431: "The headers of the request are too large.",
}


class HttpProblem(HTTPException):
    """An answer that HTTP asks for, also before a route is reached."""

    def __init__(self, status: int, text: str | None = None) -> None:
        super().__init__(status, text or _TEXTS[status])


def respond(error: SisgateError, path: str) -> Response:
    """Return the answer to an error of the tree."""
    return _problem(problem_of(error, instance=path), headers_of(error))


def respond_http(status: int, text: str, path: str, headers: Mapping[str, str]) -> Response:
    """Return the answer to an error that only HTTP knows."""
    return _problem(problem_of_http(status, text, path), headers)


def problem_of_http(status: int, text: str, path: str | None = None) -> dict[str, Any]:
    """Return the problem document of an error that only HTTP knows."""
    kind = {404: NotFound, 500: SisgateError}.get(status, UsageError)
    problem = problem_of(kind(text), instance=path) | {"status": status}
    if status not in {404, 422}:
        problem["title"] = HTTPStatus(status).phrase
    return problem


def install(app: FastAPI) -> None:
    """Let the application answer every error so."""
    app.add_exception_handler(SisgateError, _of_the_tree)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _of_the_tree(request: Request, error: Exception) -> Response:
    assert isinstance(error, SisgateError)
    return respond(error, request.url.path)


async def _invalid(request: Request, error: Exception) -> Response:
    """Name the places that are wrong. Never their values, which may be a student's data."""
    assert isinstance(error, RequestValidationError)
    problems = [
        {"place": _place(each), "message": _message(each)}
        for each in error.errors()[:MOST_PROBLEMS]
    ]
    wrong = UsageError(
        "The request is not valid: " + "; ".join(f"{p['place']}: {p['message']}" for p in problems),
        problems=problems,
    )
    return respond(wrong, request.url.path)


def _place(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return "body"  # the rest is a position
    return ".".join(str(part) for part in error["loc"])


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"not valid JSON at character {error['loc'][-1]}"
    own = {"missing": "is missing", "extra_forbidden": "is not a field of this body"}
    return own.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    text = str(error.detail) if isinstance(error, HttpProblem) else _TEXTS.get(status, "")
    headers = dict(error.headers or {})
    if status == 405:
        headers["Allow"] = _allowed(request, headers.get("Allow", ""))
    return respond_http(status, text, request.url.path, headers)


def _allowed(request: Request, first: str) -> str:
    """Return the methods of all routes of a path; those of the `first` are all that is told."""
    routes = request.app.state.routes
    found = [each.methods for each in routes if each.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({*first.split(", "), *chain(*found)} - {""}))


async def _unexpected(request: Request, _error: Exception) -> Response:
    """Say nothing of a mistake of ours; the log of the process has the traceback."""
    text = "The service has failed at this request. Its log says more."
    return respond_http(500, text, request.url.path, {})


def _problem(problem: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    body = json.dumps(problem, ensure_ascii=False, default=str)
    return Response(body, problem["status"], headers, media_type=MEDIA_TYPE)
