"""Who visits: a session's cookie says so, or this machine where no token is required.

The cookie is out of reach of scripts and of other sites, and means nothing once its token is
revoked. Forms carry a mark that is made from the session, which another site cannot know.
"""

import hmac
import secrets
from hashlib import sha256
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from sisgate.errors import AccessDenied, NotAuthenticated
from sisgate.gateway import Gateway

COOKIE = "sisgate_session"


class LoginBound(Protocol):
    """Bounds how often an address may be wrong."""

    def refuse_if_spent(self, client: str, token: str) -> None:
        """Raise `TooManyRequests` if it was wrong too often."""

    def note(self, client: str, token: str) -> None:
        """Count one."""


class Visitors:
    """Finds the gateway of a visitor, begins and ends sessions. Its methods block."""

    def __init__(self, gateway: Gateway, failed: LoginBound) -> None:
        self._gateway = gateway
        self._failed = failed
        self._own = secrets.token_bytes(32)
        """Marks the forms of visitors without a session; they last as long as the process."""

    @property
    def need_token(self) -> bool:
        """Whether one has to log in."""
        return self._gateway.settings.access == "tokens"

    def of(self, request: Request) -> Gateway:
        """Return the gateway as the visitor may use it; `NotAuthenticated` for a stranger."""
        try:
            return self._gateway.for_session(request.cookies.get(COOKIE) or None)
        except NotAuthenticated:
            if self.need_token:
                raise
            return self._gateway.for_session(None)

    def log_in(self, request: Request, token: str, response: Response) -> None:
        """Begin a session and let the browser keep it; `NotAuthenticated`, `TooManyRequests`."""
        client = request.client.host if request.client else "unknown"
        self._failed.refuse_if_spent(client, token)
        try:
            begun = self._gateway.sessions.begin(token)
        except NotAuthenticated:
            self._failed.note(client, token)
            raise
        response.set_cookie(
            COOKIE, begun.secret.get_secret_value(), expires=begun.expires_at, path="/",
            secure=is_tls(request), httponly=True, samesite="strict",
        )  # fmt: skip

    def log_out(self, request: Request, response: Response) -> None:
        """End the session, also for whoever has copied the cookie."""
        if secret := request.cookies.get(COOKIE):
            self._gateway.sessions.end(secret)
        response.delete_cookie(COOKIE, path="/")

    def mark(self, request: Request) -> str:
        """Return what the forms of this visitor carry."""
        secret = request.cookies.get(COOKIE, "")
        key = secret.encode() if secret else self._own
        return hmac.new(key, b"form", sha256).hexdigest()

    def check_mark(self, request: Request, given: str) -> None:
        """Raise `AccessDenied` for a form that is not from a page of this visitor."""
        if not hmac.compare_digest(self.mark(request).encode(), given.encode()):
            raise AccessDenied(
                "The form is from another session, or from before the service was restarted. "
                "Go back, reload the page and send it again."
            )


def is_tls(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to a proxy before us.

    Anyone may claim it; then the browser keeps the cookie from plain HTTP, which harms nobody.
    """
    forwarded = request.headers.get("x-forwarded-proto", "")
    return request.url.scheme == "https" or forwarded.split(",")[0].strip() == "https"
