"""What an answer that is none of the service's, or none at all, means to the caller."""

import socket

import requests
from urllib3.exceptions import NewConnectionError

from sisgate.client.problems import error_of
from sisgate.domain.network import causes_of, tls_fault, why_unreachable
from sisgate.domain.secret import forget_locals
from sisgate.errors import ServiceUnavailable, SisgateError
from sisgate.problem_details import MEDIA_TYPE

_REASONS = (
    (ConnectionRefusedError, "it refuses connections"),
    (socket.gaierror, "its name is not known"),
    (requests.ConnectTimeout, "no connection in time"),
    (requests.ReadTimeout, "no answer in time"),
)
"""Why a service cannot be reached, for people."""

_GATEWAYS = frozenset({502, 503, 504})
"""What proxies answer while the service behind them is away."""


class NoAnswer(Exception):
    """Nothing of the service came back. `error` is what the caller gets in the end.

    `seconds` is when to ask again, None if nothing said so.
    """

    def __init__(
        self, error: ServiceUnavailable, *, was_sent: bool, seconds: float | None = None
    ) -> None:
        super().__init__()
        self.error = error
        self.was_sent = was_sent
        self.seconds = seconds


def error_in(response: requests.Response, url: str) -> SisgateError:
    """Return the error that a response tells of; raise `NoAnswer` if a proxy made it."""
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    retry_after = _seconds(response.headers.get("Retry-After"))
    if kind == MEDIA_TYPE:
        try:
            error = error_of(response.json(), retry_after)
            error.service = url
            return error
        except (ValueError, TypeError, AttributeError, RecursionError):
            pass
    status = response.status_code
    if status in _GATEWAYS:
        text = f"{url} is away: what stands before it answered {status}. Try again later."
        raise NoAnswer(ServiceUnavailable(text), was_sent=True, seconds=retry_after)
    if 300 <= status < 400:
        why = "answers with a redirect, which is not followed: the token would go along"
    else:
        why = f"answered {status}, and not as sisgate's service does"
    return ServiceUnavailable(f"{url} {why}. Is SISGATE_URL the address of that service?")


def away(url: str, error: Exception, what: str) -> ServiceUnavailable:
    """Return our error for one of the network, whose text may hold the request."""
    causes = [type(each) for each in causes_of(error)]
    why = next((text for kind, text in _REASONS if kind in causes), why_unreachable(error))
    forget_locals(error)
    return ServiceUnavailable(
        f"{url} {what} ({why}). Check SISGATE_URL, and that `sisgate serve` runs there."
    )


def may_have_arrived(error: Exception) -> bool:
    """Return whether a request may have arrived: a connection came about."""
    if isinstance(error, requests.ConnectTimeout):
        return False
    fault = tls_fault(error)
    if fault is not None:
        return not fault.is_certificate
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return not isinstance(reason, NewConnectionError)


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None
