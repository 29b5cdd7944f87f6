"""One attempt: resolve the receiver once, judge its addresses, connect to one of them, post.

The name is asked for once and the connection goes to an address that was judged, so a name that
resolves to another address a moment later gains nothing. The certificate and the `Host` header are
those of the name. Redirects are not followed, proxies are not used, and of the response nothing
but the head is read.
"""

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import certifi
from urllib3 import Timeout
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from sisgate.bounded_http import POOLS, checked_before_write
from sisgate.clock import Clock
from sisgate.domain.network import causes_of, tls_fault
from sisgate.domain.rates import parse_retry_after
from sisgate.domain.receivers import ReceiverRules
from sisgate.webhooks.outcomes import Result

CONNECT_SECONDS = 5.0
MOST_ADDRESSES = 3
"""Addresses of a name that are tried, if there is no connection to the ones before."""

Resolve = Callable[[str, int], Sequence[str]]


class TooLate(Exception):
    """The lease is over: another worker may be sending the message."""


@dataclass(frozen=True)
class Sender:
    """Sends to receivers that the rules allow. Safe to share between threads."""

    rules: ReceiverRules
    clock: Clock
    timeout_seconds: float = 10.0
    ca_file: Path | None = None
    resolve: Resolve | None = None

    def send(self, url: str, body: bytes, headers: Mapping[str, str], *, deadline: float) -> Result:
        """Return what came of posting `body`; never raises.

        Nothing is written after `deadline`, by the monotonic clock.
        """
        begun = self.clock.monotonic()
        refusal = self.rules.refusal_of_url(url)
        if refusal is not None:
            return Result(error=f"Not sent: {refusal}.")
        parts = urlsplit(url)
        try:
            addresses = (self.resolve or resolved)(str(parts.hostname), _port(parts))
        except OSError:
            return self._since(begun, Result(error="Not sent: the name does not resolve."))
        if self.rules.refusal_of_all(addresses) is not None:
            # Not which: an app must not learn from here what names mean inside.
            why = "the name resolves to an address that is not public"
            return self._since(begun, Result(error=f"Not sent: {why}."))
        result = Result(error="Not sent: the name has no address.")
        for address in addresses[:MOST_ADDRESSES]:
            result, is_connected = self._post(parts, address, body, headers, deadline)
            if is_connected:
                break
        return self._since(begun, result)

    def _since(self, begun: float, result: Result) -> Result:
        return replace(result, elapsed_ms=round((self.clock.monotonic() - begun) * 1000))

    def _post(
        self,
        parts: SplitResult,
        address: str,
        body: bytes,
        headers: Mapping[str, str],
        deadline: float,
    ) -> tuple[Result, bool]:
        """Return the result, and whether there was a connection."""

        def check() -> None:
            if self.clock.monotonic() >= deadline:
                raise TooLate

        begun = self.clock.monotonic()
        try:
            tls = self._tls(parts)
        except OSError:
            return Result(error=f"Not sent: {self.ca_file} has no readable certificates."), True
        pool = POOLS[parts.scheme](
            address,
            _port(parts),
            timeout=Timeout(connect=CONNECT_SECONDS, read=self.timeout_seconds),
            maxsize=1,
            retries=False,
            **tls,
        )
        target = parts.path or "/"
        try:
            with checked_before_write(check):
                response = pool.urlopen(
                    "POST",
                    f"{target}?{parts.query}" if parts.query else target,
                    body=body,
                    headers={**headers, "Host": _host(parts)},
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
            response.close()
        except TooLate:
            return Result(error="Not sent: this worker was halted for too long."), True
        except (HTTPError, OSError, ValueError) as error:
            is_unconnected = _is_unconnected(error)
            was_sent = not is_unconnected and tls_fault(error) is None
            result = Result(
                error=self._why(error, self.clock.monotonic() - begun),
                address=address,
                was_sent=was_sent,
            )
            return result, not is_unconnected
        finally:
            pool.close()
        asked = parse_retry_after(response.headers.get("retry-after"), self.clock.now())
        what = (
            None if 200 <= response.status < 300 else f"The receiver responded {response.status}."
        )
        wait = asked if response.status in {429, 503} else None
        return Result(response.status, what, wait, 0, address), True

    def _tls(self, parts: SplitResult) -> dict[str, Any]:
        if parts.scheme != "https":
            return {}
        name = str(parts.hostname).removesuffix(".")
        file = Path(self.ca_file or certifi.where())
        context = _context(file, file.stat().st_mtime_ns)
        return {"server_hostname": name, "ssl_context": context}

    def _why(self, error: Exception, seconds: float) -> str:
        fault = tls_fault(error)
        if fault is not None:
            return f"Not sent: {fault.value}."
        if _is_unconnected(error):
            return "Not sent: there is no connection to the receiver."
        if seconds >= self.timeout_seconds:
            return f"The receiver did not respond within {self.timeout_seconds:g} s."
        if any(isinstance(each, ConnectionError) for each in causes_of(error)):
            return "The receiver broke the connection off before it responded."
        return "The receiver did not respond with HTTP."


@lru_cache(maxsize=4)
def _context(ca_file: Path, _changed: int) -> ssl.SSLContext:
    """Return how receivers are verified; to read the authorities takes longer than a message."""
    return ssl.create_default_context(cafile=ca_file)


def resolved(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name, each once; `OSError` if it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_unconnected(error: BaseException) -> bool:
    return isinstance(error, NewConnectionError | ConnectTimeoutError)


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _host(parts: SplitResult) -> str:
    host = str(parts.hostname)
    bracketed = f"[{host}]" if ":" in host else host
    is_usual = _port(parts) == (443 if parts.scheme == "https" else 80)
    return bracketed if is_usual else f"{bracketed}:{_port(parts)}"
