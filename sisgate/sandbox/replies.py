"""Answers as values, and reading what a request says without ever raising a 500."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

Headers = dict[str, str]


class Refusal(Exception):
    """The request cannot be served: a 4xx with a message and the dialect's own code."""

    def __init__(self, status: int, message: str, code: str = "invaliddata") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


def json_reply(body: Any, status: int = 200, headers: Headers | None = None) -> Response:
    """Return a JSON answer. `body` is anything orjson knows."""
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def whole_number(request: Request, name: str, default: int, least: int) -> int:
    """Return a query parameter as an integer of at least `least`; `Refusal` 400 otherwise."""
    text = request.query_params.get(name)
    if text is None:
        return default
    # Length first: Python refuses to read numbers of thousands of digits at all.
    if len(text) <= 18 and text.isascii() and text.isdigit() and int(text) >= least:
        return int(text)
    raise Refusal(400, f"{name} is a whole number of at least {least}")


async def form_fields(request: Request) -> dict[str, str]:
    """Return the fields of a form body and the query; empty when the body is no form."""
    fields = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        form = await request.form(max_fields=50)
        fields |= {name: value for name, value in form.items() if isinstance(value, str)}
    return fields
