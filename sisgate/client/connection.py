"""Asking the HTTP service: one pool of connections, deadlines, and repeats that do no harm."""

import json
import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from sisgate import __version__, tracing
from sisgate.client.no_answer import NoAnswer, away, error_in, may_have_arrived
from sisgate.client.reading import note_answer
from sisgate.clock import Clock, SystemClock
from sisgate.domain.secret import HoldsSecret
from sisgate.errors import (
    AnswerInvalid,
    ServiceUnavailable,
    SisgateError,
    TooManyRequests,
    UsageError,
)
from sisgate.settings.service import ServiceAddress

CONNECT_SECONDS = 5.0
REPEATS = 4
"""How often a request is made again, at most."""
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
POOL = 64
"""Connections that are kept for reuse; more are made where more threads ask at once."""
CHUNK_BYTES = 65_536

Pairs = Mapping[str, Any] | None
T = TypeVar("T")


class _Bearer(AuthBase):
    """Sends the token. Being there, it also keeps requests from taking a password from ~/.netrc."""

    def __init__(self, token: HoldsSecret | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        return request


class AnsweredObject(dict[str, Any]):
    """An object in an answer of the service."""

    def __missing__(self, name: str) -> Any:
        """Raise `AnswerInvalid`: nothing that is needed is missing but from an older service."""
        raise AnswerInvalid(
            f"The service answered without {name!r}, which this version of sisgate needs. It is "
            "older: upgrade it, or use a client of its version."
        )


@dataclass(frozen=True)
class ServiceReply:
    """A good answer of the service: its status and its JSON, None for an empty one."""

    status: int
    json: Any


class Connection:
    """Sends requests to one service. Thread-safe, and safe to use after a fork.

    `timeout` is how long the service may be silent, in seconds. Raises the errors of the service,
    and `ServiceUnavailable` if it gives none. A request is repeated if it was not sent, if the
    service takes no more from this caller now (it says for how long), and else only if it
    `may_repeat`. Proxies and authorities come from the environment, as with requests.
    """

    def __init__(
        self,
        address: ServiceAddress,
        *,
        timeout: float = 30.0,
        repeats: int = REPEATS,
        clock: Clock | None = None,
    ) -> None:
        self.url = address.url
        self._auth = _Bearer(address.token)
        self._timeout = timeout
        self._repeats = repeats
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._session: tuple[int, requests.Session] | None = None

    def get(self, path: str, query: Pairs = None, *, wait: float = 0.0) -> Any:
        """Return the JSON at a path; with `wait`, the service may take so many seconds longer."""
        return self.send("GET", path, query=query, may_repeat=True, wait=wait).json

    def post(self, path: str, body: Any = None, query: Pairs = None, **options: Any) -> Any:
        """Post JSON and return that of the answer."""
        sent = {} if body is None else body
        return self.send("POST", path, body=sent, query=query, **options).json

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Pairs = None,
        headers: Mapping[str, str] | None = None,
        may_repeat: bool = False,
        wait: float = 0.0,
        silence: float = 0.0,
    ) -> ServiceReply:
        """Send one request, and again where that may help and does no harm.

        With `wait`, the end of a job is waited for as long. Then, or by `silence`, the service may
        take so many seconds longer.
        """
        named, data = dict(headers or {}), None
        if (traceparent := tracing.current()) is not None:
            named[tracing.HEADER] = traceparent
        if wait > 0:
            named["Prefer"] = f"wait={wait:.3f}"
        if body is not None:
            named["Content-Type"], data = "application/json", _as_json(body)

        def attempt() -> ServiceReply:
            response = self._request(method, path, data, query, named, max(wait, silence))
            if response.status_code == 204 or not response.content:
                return ServiceReply(response.status_code, None)
            try:
                reply = response.json(object_hook=AnsweredObject)
                return ServiceReply(response.status_code, reply)
            except (ValueError, RecursionError):
                raise AnswerInvalid(
                    f"{self.url} answered with something that is not JSON. Is SISGATE_URL the "
                    "address of sisgate's HTTP service?"
                ) from None

        return self._repeated(attempt, may_repeat=may_repeat)

    def text(self, path: str, query: Pairs = None) -> str:
        """Return the text at a path."""

        def attempt() -> str:
            return self._request("GET", path, None, query, {}, 0.0).text

        return self._repeated(attempt, may_repeat=True)

    def lines(
        self,
        path: str,
        query: Pairs = None,
        *,
        method: str = "GET",
        body: Any = None,
        may_repeat: bool = True,
        silence: float = 0.0,
    ) -> Iterator[bytes]:
        """Stream the lines of an answer. Asks at once; the lines come as they are read.

        Raises `ServiceUnavailable` if the answer is cut off.
        """
        headers, data = {}, None
        if body is not None:
            headers, data = {"Content-Type": "application/json"}, _as_json(body)
        response = self._repeated(
            lambda: self._request(method, path, data, query, headers, silence, stream=True),
            may_repeat=may_repeat,
        )
        return self._lines(response)

    def _lines(self, response: requests.Response) -> Iterator[bytes]:
        rest = b""
        with response:
            try:
                for chunk in response.iter_content(CHUNK_BYTES):
                    *whole, rest = (rest + chunk).split(b"\n")
                    yield from whole
            except (requests.RequestException, HTTPError) as error:
                raise away(self.url, error, "broke off its answer, which is not complete") from None
        if rest:
            raise ServiceUnavailable(f"{self.url} broke off its answer, which is not complete.")

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            held, self._session = self._session, None
        if held is not None:
            held[1].close()

    def _repeated(self, attempt: Callable[[], T], *, may_repeat: bool) -> T:
        number, was_sent = 0, False
        while True:
            try:
                return attempt()
            except TooManyRequests as error:
                failed: SisgateError = error
                pause = error.seconds
            except NoAnswer as nothing:
                failed = nothing.error
                was_sent |= nothing.was_sent
                nothing.error.was_sent = was_sent
                pause = nothing.seconds or random.uniform(0, FIRST_PAUSE_SECONDS * 2**number)
                if nothing.was_sent and not may_repeat:
                    raise failed from None
            if number == self._repeats or pause > LONGEST_PAUSE_SECONDS:
                raise failed from None
            number += 1
            self._clock.sleep(pause)

    def _request(
        self,
        method: str,
        path: str,
        data: bytes | None,
        query: Pairs,
        headers: Mapping[str, str],
        silence: float,
        *,
        stream: bool = False,
    ) -> requests.Response:
        """Return a good response; raise the error of any other."""
        try:
            response = self._opened().request(
                method, f"{self.url}{path}", params=_given(query), data=data, headers=dict(headers),
                auth=self._auth,
                timeout=(min(CONNECT_SECONDS, self._timeout), self._timeout + silence),
                allow_redirects=False, stream=stream,
            )  # fmt: skip
        except requests.RequestException as error:
            nothing = away(self.url, error, "gave no answer")
            raise NoAnswer(nothing, was_sent=may_have_arrived(error)) from None
        if response.status_code < 300:
            note_answer()
            return response
        with response:
            try:
                failed = error_in(response, self.url)
            except (requests.RequestException, HTTPError) as error:  # of a stream's first read
                nothing = away(self.url, error, "broke off its answer")
                raise NoAnswer(nothing, was_sent=True) from None
            raise failed

    def _opened(self) -> requests.Session:
        with self._lock:
            pid = os.getpid()
            if self._session is None or self._session[0] != pid:
                self._session = pid, _session()
            return self._session[1]


def _session() -> requests.Session:
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=POOL)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    # Cookies would be shared by threads, and the service sets none.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"User-Agent": f"sisgate/{__version__}", "Accept": "application/json"})
    return session


def _as_json(body: Any) -> bytes:
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"The request cannot be written as JSON: {error}.") from None


def _given(query: Pairs) -> dict[str, Any] | None:
    return {name: value for name, value in (query or {}).items() if value is not None} or None
