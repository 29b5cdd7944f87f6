"""Sending a request, within its deadline and size cap whatever the other side does."""

import contextlib
import math
import re
from datetime import datetime
from urllib.parse import quote, urlencode

import requests
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA1, SIGNATURE_HMAC_SHA256
from requests import PreparedRequest
from requests.auth import AuthBase
from requests_oauthlib import OAuth1
from urllib3.exceptions import DecodeError, HTTPError, NameResolutionError, NewConnectionError

from sisgate.bounded_http import (
    BodyTooLarge,
    BoundedSession,
    checked_before_write,
    network_failure,
    read_within,
)
from sisgate.clock import Clock
from sisgate.credentials.keys import Credential
from sisgate.domain.certificates import Certificate, NoteCertificate
from sisgate.domain.network import UNKNOWN_NAME, Network
from sisgate.domain.secret import Secret, forget_locals
from sisgate.domain.validation import usable_path
from sisgate.errors import AnswerInvalid, CredentialError, ProviderUnavailable
from sisgate.providers.http import HttpRequest, HttpResponse
from sisgate.settings.files import network_problem

__all__ = ["AuthBase", "Bearer", "oauth1", "static_bearer"]

_SENDABLE = re.compile(r"[\x21-\x7e]+")
_SIGNATURES = {"HMAC-SHA1": SIGNATURE_HMAC_SHA1, "HMAC-SHA256": SIGNATURE_HMAC_SHA256}


class Bearer(AuthBase):
    """Adds the token to the request's header (RFC 6750)."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Authorize the request."""
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        return request


def static_bearer(key: Credential) -> AuthBase:
    """Use the key's secret as a bearer token that never expires."""
    if not _SENDABLE.fullmatch(key.secret.get_secret_value()):
        raise CredentialError(
            f"The secret of {key.label} of {key.provider} cannot be sent as a bearer token: it "
            "contains a space, a line break or a non-ASCII character. Enter it again with "
            f"`sisgate keys add {key.provider}`.",
            provider=key.provider,
            key=key.id,
        )
    return Bearer(key.secret)


def oauth1(key: Credential, signature: str, now: datetime) -> AuthBase:
    """Sign with `HMAC-SHA256`, which most OneRoster 1.1 servers require, or `HMAC-SHA1`; RFC 5849.

    Servers refuse a signature whose time is minutes off, so `now` is the fleet's, not the host's.
    """
    auth: AuthBase = OAuth1(
        key.client_id,
        key.secret.get_secret_value(),
        signature_method=_SIGNATURES[signature],
        timestamp=str(int(now.timestamp())),
    )
    return auth


CONNECT_SECONDS = 5.0
MIB = 1024 * 1024
CODINGS = ("br", "deflate", "gzip", "x-gzip", "zstd")
SAFE_PATH = "/:@!$&'()*+,;=-._~%"

PUBLIC = Network()
"""The default: no proxy, and the system's certificates."""


class _Connected(Exception):  # not an error
    """The connection is established, so `connect` is done."""


def _stop() -> None:
    raise _Connected


class Transport:
    """Keeps connections to endpoints open between calls. One per process and thread.

    Redirects are never followed: they would send credentials to another host, and make a second
    call on one permit.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        user_agent: str = "sisgate",
        note_certificate: NoteCertificate | None = None,
    ) -> None:
        self._clock = clock
        self._user_agent = user_agent
        self._note_certificate = note_certificate
        self._last_seen: Certificate | None = None
        self._sessions: dict[Network, BoundedSession] = {}

    def close(self) -> None:
        """Close all open connections."""
        for session in self._sessions.values():
            session.close()

    def _session(self, network: Network) -> BoundedSession:
        session = self._sessions.get(network)
        if session is None:
            if (problem := network_problem(network)) is not None:
                raise ProviderUnavailable(f"The request was not sent: {problem}.", sent=False)
            session = BoundedSession(
                network, connections=64, connections_kept=8, note_certificate=self._see
            )
            headers = {"User-Agent": self._user_agent, "Accept": "application/json"}
            session.headers.update(headers)
            self._sessions[network] = session
        return session

    def _see(self, certificate: Certificate) -> None:
        self._last_seen = certificate
        if self._note_certificate is not None:
            self._note_certificate(certificate)

    def connect(self, base_url: str, network: Network) -> Certificate | None:
        """Connect to an endpoint, with TLS for https, and send nothing; return its certificate.

        Raises `ProviderUnavailable` as `send` does.
        """
        request, self._last_seen = HttpRequest("/"), None
        with contextlib.suppress(_Connected), checked_before_write(_stop):
            self.send(
                base_url, request, None, network, timeout_seconds=CONNECT_SECONDS, max_body_bytes=1
            )
        return self._last_seen

    def send(
        self,
        base_url: str,
        request: HttpRequest,
        auth: AuthBase | None,
        network: Network = PUBLIC,
        *,
        timeout_seconds: float,
        max_body_bytes: int,
        must_end_at: float = math.inf,
    ) -> HttpResponse:
        """Send one request and return the whole response, whatever its status.

        If the process was suspended until past the deadline while connecting, the timeout restarts
        at the write, up to `must_end_at` by the monotonic clock.

        Raises `ProviderUnavailable` for a response that is missing, late or truncated; its detail
        `sent` is False if the provider cannot have seen the request. Raises `AnswerInvalid` for a
        response that is too large, or not compressed as it declares.
        """
        url = build_url(base_url, request)
        begun = self._clock.monotonic()
        deadline = begun + timeout_seconds

        def before_write() -> None:
            nonlocal deadline
            now = self._clock.monotonic()
            if now >= deadline:
                deadline = min(now + timeout_seconds, must_end_at)

        session = self._session(network)
        try:
            with checked_before_write(before_write):
                response = session.send_once(
                    request.method,
                    url,
                    headers=dict(request.headers),
                    data=request.body,
                    json=request.json_body,
                    auth=auth,
                    timeout=(min(CONNECT_SECONDS, timeout_seconds), timeout_seconds),
                )
            with response:
                body = _body_of(response, self._clock, deadline, max_body_bytes)
        except BodyTooLarge as error:
            raise _too_large(error.size, max_body_bytes) from error
        except requests.ConnectTimeout as error:
            raise _unavailable("did not accept a connection in time", error, sent=False) from error
        except requests.Timeout as error:
            raise _unavailable(f"did not answer within {timeout_seconds:g} s", error) from error
        except requests.ConnectionError as error:
            if (failure := network_failure(error, network)) is not None:
                why, ids = failure
                forget_locals(error)
                message = f"The provider could not be reached. {why}"
                raise ProviderUnavailable(
                    message, **{"sent": True, "reason": type(error).__name__, **ids}
                ) from error
            if isinstance(_cause_of(error), NameResolutionError):
                forget_locals(error)
                raise ProviderUnavailable(
                    "The provider could not be reached: no address was found for the host name of "
                    "its URL. Check the URL, and DNS.",
                    sent=False,
                    reason=UNKNOWN_NAME,
                ) from error
            sent = not _never_sent(error)
            raise _unavailable("refused or cut the connection", error, sent=sent) from error
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            what = "sent a truncated or malformed response"
            raise _unavailable(what, error, broke_off=isinstance(error, HTTPError)) from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        elapsed = self._clock.monotonic() - begun
        return HttpResponse(response.status_code, headers, body, elapsed, url)


def build_url(base_url: str, request: HttpRequest) -> str:
    """Return the absolute URL; `UsageError` for a path that could leave the endpoint's origin."""
    path = usable_path(request.path)
    query = f"?{urlencode(request.query)}" if request.query else ""
    return f"{base_url}{quote(path, safe=SAFE_PATH)}{query}"


def _too_large(size: int | None, limit: int) -> AnswerInvalid:
    most = limit / MIB
    size_text = f"is {size / MIB:.1f} MiB" if size is not None else f"is more than {most:g} MiB"
    return AnswerInvalid(
        f"The provider's response {size_text}, and max_body_mb allows {most:g}. It was not read. "
        "Raise the provider's max_body_mb if such responses are valid, or lower its page_size.",
        is_final=True,
        body_bytes=size,
        max_body_mb=most,
    )


def _body_of(response: requests.Response, clock: Clock, deadline: float, limit: int) -> bytes:
    try:
        return read_within(response.raw, clock, deadline, limit)
    except DecodeError as error:
        declared = response.headers.get("content-encoding", "").lower().split(",")
        known = ", ".join(each.strip() for each in declared if each.strip() in CODINGS)
        raise AnswerInvalid(
            f"The body of the provider's response is not encoded as its Content-Encoding header "
            f"says: {known}. The provider, or a proxy in front of it, must be fixed."
        ) from error


def _never_sent(error: Exception) -> bool:
    """Whether the connection failed before the request could leave: then a POST may be repeated."""
    return isinstance(_cause_of(error), NewConnectionError)


def _cause_of(error: Exception) -> object:
    """Return urllib3's error behind one of requests."""
    return getattr(error.args[0], "reason", None) if error.args else None


def _unavailable(
    what: str, error: Exception, *, sent: bool = True, broke_off: bool = False
) -> ProviderUnavailable:
    forget_locals(error)
    name = type(error).__name__
    begun = {"broke_off": True} if broke_off else {}
    return ProviderUnavailable(f"The provider {what} ({name}).", sent=sent, reason=name, **begun)
