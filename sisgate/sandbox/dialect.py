"""What a dialect gives the server: its routes, its errors, its way to authorize."""

from __future__ import annotations

from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from sisgate.sandbox.knobs import Fault


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
        """The token endpoint as clients are told it, with its query if it needs one."""
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
