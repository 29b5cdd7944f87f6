"""What a vendor's server gives to the sandbox, and how every vendor's server answers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from sisgate.sandbox.district import District
from sisgate.sandbox.knobs import Fault
from sisgate.sandbox.spec import AcceptedCredential
from sisgate.sandbox.tokens import basic_credential

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


class VendorServer(ABC):
    """One way of speaking to one district."""

    token_methods: tuple[str, ...] = ("POST",)
    token_type = "bearer"
    has_scopes = True
    reuses_tokens = False

    def __init__(self, district: District) -> None:
        self.district = district
        # Authorization, quota and faults have been seen to before.
        handlers = {HTTPException: self._no_such_route, Refusal: self._refused}
        self.app = Starlette(routes=self.routes(), exception_handlers=handlers)

    @abstractmethod
    def routes(self) -> list[Route]:
        """Return the routes of the resources."""

    @abstractmethod
    def authorize(self, scope: Scope) -> Response | None:
        """Return None when the call may continue, else the 401 or 403."""

    @abstractmethod
    def error(self, status: int, message: str, code: str | None = None) -> Response:
        """Return an error in the vendor's shape."""

    @abstractmethod
    def public_id(self, table: str, key: int) -> str | int:
        """Return the id by which clients know a row."""

    @property
    @abstractmethod
    def token_path(self) -> str:
        """The token endpoint as clients are to ask it, with its query if it needs one."""

    @property
    @abstractmethod
    def oneroster_path(self) -> str | None:
        """Base path of the OneRoster resources; None where there are none."""

    @property
    def token_paths(self) -> frozenset[str]:
        """Paths of the token endpoint; these spend no quota."""
        return frozenset([self.token_path.partition("?")[0]])

    async def token(self, request: Request) -> Response:
        """Answer a token request (RFC 6749, client credentials), the credentials given by Basic."""
        if request.method not in self.token_methods:
            return json_reply({"error": "invalid_request"}, 405, {"allow": "POST"})
        try:
            fields = await form_fields(request)
        except Exception:  # noqa: BLE001 - whatever a broken form raises, it is the client's mistake
            return json_reply({"error": "invalid_request"}, 400)
        if (problem := self.token_problem(request, fields)) is not None:
            return json_reply(problem, 400)
        pair, book = self.credential(request, fields), self.district.tokens
        if pair is None or not book.knows(pair.client_id, pair.client_secret):
            return json_reply({"error": "invalid_client"}, 401, {"www-authenticate": "Basic"})
        scope = fields.get("scope", "") if self.has_scopes else ""
        lifetime = self.district.knobs.token_lifetime_seconds
        token = book.issue(pair.client_id, lifetime, scope=scope, reuse=self.reuses_tokens)
        seconds = int(lifetime) or 1
        body = {
            "access_token": token.token,
            "token_type": self.token_type,
            "expires_in": str(seconds) if self.expires_in_as_text else seconds,
            **({"scope": scope} if self.has_scopes else {}),
        }
        return json_reply(body, headers={"cache-control": "no-store"})

    @property
    def expires_in_as_text(self) -> bool:
        """Whether `expires_in` is a text."""
        return bool(self.district.knobs.token_expires_in_as_text)

    def token_problem(self, request: Request, fields: Mapping[str, str]) -> dict[str, str] | None:
        """Return the body of a 400, or None where the request is in order."""
        is_known = fields.get("grant_type") == "client_credentials"
        return None if is_known else {"error": "unsupported_grant_type"}

    def credential(self, request: Request, _: Mapping[str, str]) -> AcceptedCredential | None:
        """Return the credential that a token request shows."""
        return basic_credential(request.headers.get("authorization", ""))

    async def _no_such_route(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        reply = self.error(error.status_code, "There is no such resource or method here.")
        reply.headers.update(error.headers or {})
        return reply

    async def _refused(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return self.error(error.status, error.message, error.code)


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
