"""Requests to a provider's token endpoint, and their errors.

OAuth 2.0 client credentials, RFC 6749 section 4.4, as servers really speak it: any 2xx with a token
is a token; `expires_in` may be a text, or missing. Only what is said of the client itself speaks
against the key; a wrong address, scope or method is a mistake in the configuration.
"""

import json
import math
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from sisgate.bounded_http import BoundedSession, network_failure, read_within
from sisgate.clock import Clock
from sisgate.credentials.keys import Credential
from sisgate.domain.certificates import NoteCertificate
from sisgate.domain.error_messages import code_of_errors
from sisgate.domain.rates import parse_retry_after
from sisgate.domain.secret import Secret, forget_locals
from sisgate.errors import (
    ConfigurationError,
    ProviderUnavailable,
    SisgateError,
    Throttled,
    TokenRefused,
)
from sisgate.settings import ProviderConfig
from sisgate.settings.files import network_problem

CONNECT_SECONDS, FETCH_SECONDS = 5.0, 10.0
MAX_ANSWER_BYTES = 1024 * 1024
"""A token endpoint that sends more sends no token."""

STEP = "token"
"""What the details of its errors say: the token endpoint failed, not the provider's own."""

DEFAULT_LIFETIME_SECONDS = 3600.0
LONGEST_LIFETIME_SECONDS = 1e9

THROTTLED_SECONDS = 30.0
"""How long to wait after a 429 without Retry-After."""

SHOWN_URL_CHARACTERS = 200

_BEARER = re.compile(r"[\x21-\x7e]+")
_ERROR_WORD = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,60}")
"""RFC 6749 section 5.2, cut to a length."""

_TRY_AGAIN = frozenset({"temporarily_unavailable", "server_error"})
_WRONG_ADDRESS = frozenset({404, 405, 406, 410, 411, 415, 421, 426})


def fetch_token(
    config: ProviderConfig,
    key: Credential,
    clock: Clock,
    *,
    seconds: float = FETCH_SECONDS,
    note_certificate: NoteCertificate | None = None,
) -> tuple[Secret, float]:
    """Fetch a token from the provider's token endpoint; return it and its lifetime in seconds.

    It must answer within `seconds` and `MAX_ANSWER_BYTES`. The client authenticates by Basic or in
    the body (RFC 6749 section 2.3.1). Redirects are not followed: they would carry the secret
    elsewhere. Raises `TokenRefused` if the provider refuses the key, `ConfigurationError` if it
    refuses the request itself, `Throttled` if it wants us to wait, and `ProviderUnavailable` if its
    token endpoint fails.
    """
    form = {"grant_type": "client_credentials"}
    if config.auth_scope:
        form["scope"] = config.auth_scope
    by_query = config.token_method == "GET"
    url = config.token_endpoint
    assert url is not None
    if (problem := network_problem(config.network)) is not None:
        raise ProviderUnavailable(
            f"The token endpoint of {config.name} was not asked: {problem}.",
            provider=config.name,
            step=STEP,
            sent=False,
        )
    in_form = config.auth_method == "oauth2-body"
    deadline = clock.monotonic() + seconds
    try:
        with (
            BoundedSession(config.network, note_certificate=note_certificate) as session,
            session.request(
                config.token_method,
                url,
                params=form if by_query else None,
                data=None if by_query else form,
                auth=_InForm(key, form, by_query=by_query) if in_form else _Basic(key),
                headers={"Accept": "application/json"},
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            body = read_within(response.raw, clock, deadline, MAX_ANSWER_BYTES)
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        forget_locals(error)
        why, ids = network_failure(error, config.network) or (f"{type(error).__name__}.", {})
        raise ProviderUnavailable(
            f"The token endpoint of {config.name} gave no answer: {why}",
            **{**ids, "provider": config.name, "step": STEP, "sent": False},
        ) from None  # the error's own text holds the URL, which may hold the secret
    answer = _json_object(body)
    value = answer.get("access_token")
    if 200 <= response.status_code < 300 and isinstance(value, str):
        token = value.strip()
        if _BEARER.fullmatch(token):
            return Secret(token), _lifetime(answer.get("expires_in"))
    asked_wait = parse_retry_after(response.headers.get("retry-after"), clock.now())
    location = response.headers.get("location")
    raise _refusal(config, key, response.status_code, answer.get("error"), location, asked_wait)


class _Basic(AuthBase):
    """Adds id and secret to the header as the request leaves. RFC 7617."""

    def __init__(self, key: Credential) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        pair = f"{self._key.client_id}:{self._key.secret.get_secret_value()}"
        request.headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        return request


class _InForm(AuthBase):
    """Adds id and secret to the form, or to the query, as the request leaves."""

    def __init__(self, key: Credential, form: Mapping[str, str], *, by_query: bool) -> None:
        self._key = key
        self._form = form
        self._by_query = by_query

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        secret = {
            "client_id": self._key.client_id,
            "client_secret": self._key.secret.get_secret_value(),
        }
        if self._by_query:
            request.prepare_url(request.url, secret)
        else:
            request.prepare_body({**self._form, **secret}, None)
        return request


def _refusal(
    config: ProviderConfig,
    key: Credential,
    status: int,
    word: Any,
    location: str | None,
    asked_wait: float | None,
) -> SisgateError:
    """Return the error for a response without a token."""
    endpoint = f"The token endpoint of {config.name}"
    ids: dict[str, Any] = {"provider": config.name, "step": STEP, "status": status}
    word = word if isinstance(word, str) and _ERROR_WORD.fullmatch(word) else None
    shown = code_of_errors(word)
    said = f"{status} ({shown})" if shown else str(status)
    if status == 429 or (status == 503 and asked_wait):
        seconds = THROTTLED_SECONDS if asked_wait is None else asked_wait
        what = f"{endpoint} answered {said}: it wants us to wait {seconds:g} s."
        return Throttled(what, seconds=seconds, **ids)
    if status >= 500 or status in {408, 425} or word in _TRY_AGAIN:
        return ProviderUnavailable(f"{endpoint} answered {said}.", sent=False, **ids)
    if status < 300 and word is None:
        # Truncated, or another page: it says nothing about the key.
        what = f"{endpoint} answered {status} without a token. If that stays so, check token_url."
        return ProviderUnavailable(what, sent=False, **ids)
    if (mistake := _mistake(config, status, word, location)) is not None:
        what = f"{endpoint} {mistake} The key {key.id[:8]} was not judged."
        return ConfigurationError(what, **ids)
    return TokenRefused(
        f"{config.name} refused {key.label}: its token endpoint answered {said}. Check client id "
        f"and secret, and enter them again with `sisgate keys add {config.name}`.",
        key=key.id,
        **ids,
    )


def _mistake(
    config: ProviderConfig, status: int, word: str | None, location: str | None
) -> str | None:
    """Return what an answer says is wrong with the configuration; None if it is about the key."""
    table = f"[providers.{config.name}]"
    if 300 <= status < 400:
        where = f" to {_shown(config, location)}" if location else ""
        return (
            f"answered {status} and redirects{where}. Redirects are not followed, as they would "
            f"carry the key elsewhere: token_url is wrong. Correct it in {table}."
        )
    if status in _WRONG_ADDRESS and word is None:
        return (
            f"answered {status}: token_url is wrong, or token_method ({config.token_method}). "
            f"Correct it in {table}."
        )
    if word == "invalid_scope":
        asked = f"the scope {config.auth_scope!r}" if config.auth_scope else "no scope"
        return (
            f"answered {status} (invalid_scope): it was asked for {asked}. Set `scope` in {table} "
            "to one that the provider has granted."
        )
    if word in {"unsupported_grant_type", "invalid_request"}:
        return (
            f"answered {status} ({word}): it wants to be asked in another way. Check token_url, "
            f"auth ({config.auth_method}) and token_method ({config.token_method}) in {table}."
        )
    return None


def _shown(config: ProviderConfig, location: str) -> str:
    """Return origin and path of a Location: its query may repeat what we have sent."""
    try:
        parts = urlsplit(urljoin(config.token_endpoint or "", location))
        port = f":{parts.port}" if parts.port else ""
        text = f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
    except ValueError:
        return "an address that cannot be read"
    return "".join(c for c in text if c.isprintable())[:SHOWN_URL_CHARACTERS]


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _lifetime(expires_in: Any) -> float:
    """Return a token's lifetime in seconds; a default if none, or no sensible number, is given.

    One that is too long does no harm: a token that is refused before its end is replaced.

    >>> _lifetime(120), _lifetime("2592000")  # PowerSchool writes the number as a text
    (120.0, 2592000.0)
    >>> _lifetime(None), _lifetime(0), _lifetime(-1), _lifetime("soon"), _lifetime(True)
    (3600.0, 3600.0, 3600.0, 3600.0, 3600.0)
    >>> _lifetime(1e300), _lifetime("NaN"), _lifetime("Infinity")
    (1000000000.0, 3600.0, 3600.0)
    """
    if isinstance(expires_in, bool):
        return DEFAULT_LIFETIME_SECONDS
    try:
        seconds = float(expires_in)
    except (TypeError, ValueError, OverflowError):
        return DEFAULT_LIFETIME_SECONDS
    if not math.isfinite(seconds) or seconds <= 0:
        return DEFAULT_LIFETIME_SECONDS
    return min(seconds, LONGEST_LIFETIME_SECONDS)
