"""What a vendor's server gives to the sandbox, and how every vendor's server answers."""

from __future__ import annotations

from typing import Any, Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from sisgate.sandbox.knobs import Fault

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


class VendorServer(Protocol):
    """One way of speaking to one district."""

    @property
    def app(self) -> ASGIApp:
        """Serves the resources; authorization, quota and faults have been seen to before."""
        ...

    @property
    def token_paths(self) -> frozenset[str]:
        """Paths of the token endpoint; these spend no quota."""
        ...

    @property
    def token_path(self) -> str:
        """The token endpoint as clients are to ask it, with its query if it needs one."""
        ...

    @property
    def oneroster_path(self) -> str | None:
        """Base path of the OneRoster resources; None when there are none."""
        ...

    async def token(self, scope: Scope, receive: Any) -> Response:
        """Answer a token request."""
        ...

    def authorize(self, scope: Scope) -> Response | None:
        """Return None when the call may go on, else the 401 or 403."""
        ...

    def error(self, status: int, message: str, code: str | None = None) -> Response:
        """Return an error in the dialect's shape."""
        ...

    def public_id(self, table: str, key: int) -> str | int:
        """Return the id by which clients know a row."""
        ...


def fault_reply(dialect: VendorServer, fault: Fault) -> Response:
    """Return the answer of a fault of the kinds `status` and `html`."""
    if fault.kind == "html":
        reply = Response(
            f"<html><head><title>{fault.status}</title></head>"
            f"<body><center><h1>{fault.status}</h1></center><hr>proxy</body></html>",
            fault.status,
            media_type="text/html",
        )
    else:
        reply = dialect.error(fault.status, "The server failed on purpose (sandbox).")
    if fault.retry_after is not None:
        reply.headers["retry-after"] = fault.retry_after
    return reply
