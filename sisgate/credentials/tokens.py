"""Access tokens: one per key for the fleet, sealed in Redis, fetched by one worker at a time."""

from __future__ import annotations

import json
import uuid
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from sisgate.bounded_http import BoundedAdapter, read_within
from sisgate.clock import Clock
from sisgate.credentials.keys import Credential
from sisgate.credentials.stored_tokens import PREFIX, token_name
from sisgate.credentials.vault import Vault
from sisgate.domain.secret import Secret, forget_locals
from sisgate.errors import (
    BrokerUnavailable,
    CredentialError,
    ProviderUnavailable,
    TokenRefused,
)
from sisgate.settings import ProviderConfig

LOCK_SECONDS = 20
"""Longer than a fetch may take, so that a second worker never fetches at the same time."""

CONNECT_SECONDS, FETCH_SECONDS = 5.0, 10.0
MAX_ANSWER_BYTES = 1024 * 1024
"""A token endpoint that sends more sends no token."""

DEFAULT_LIFETIME_SECONDS = 3600.0
EARLY_SECONDS = 60.0
"""A token is renewed this long before its end, or at a tenth of its life if that is less."""

_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end"


@dataclass(frozen=True)
class Token:
    """An access token and the end of its life on the fetching worker's wall clock."""

    value: Secret
    expires_at: float


class TokenCache:
    """Gives the current token of a key; a refused one is fetched anew once for the fleet."""

    def __init__(
        self, client: redis.Redis, vault: Vault, clock: Clock, *, prefix: str = PREFIX
    ) -> None:
        self._redis = client
        self._vault = vault
        self._clock = clock
        self._prefix = prefix
        self._release = client.register_script(_RELEASE)

    def get(self, config: ProviderConfig, key: Credential) -> Token:
        """Return a token that is still good, fetching one if need be.

        Raises `TokenRefused` where the provider refuses the key, `ProviderUnavailable` where its
        token endpoint fails, `BrokerUnavailable` where the cache cannot be reached.
        """
        deadline = self._clock.monotonic() + LOCK_SECONDS
        name, mine = self._name(key), uuid.uuid4().hex
        try:
            while True:
                token = self._cached(name)
                if token is not None:
                    return token
                if self._redis.set(f"{name}:lock", mine, nx=True, ex=LOCK_SECONDS):
                    try:
                        return self._cached(name) or self._renew(name, config, key)
                    finally:
                        self._release(keys=[f"{name}:lock"], args=[mine])
                if self._clock.monotonic() > deadline:
                    raise ProviderUnavailable(
                        f"No token for {config.name} came within {LOCK_SECONDS} s; another worker "
                        "is fetching one. The call is tried again.",
                        provider=config.name,
                        sent=False,
                    )
                self._clock.sleep(0.05)
        except redis.RedisError as error:
            raise BrokerUnavailable(f"The token cache cannot be reached: {error}") from error

    def forget(self, key: Credential, token: Token) -> None:
        """Drop a token that the provider calls expired, unless it has been replaced already."""
        name = self._name(key)
        try:
            cached = self._cached(name)
            if cached is not None and cached.value == token.value:
                self._redis.delete(name)
        except redis.RedisError as error:
            raise BrokerUnavailable(f"The token cache cannot be reached: {error}") from error

    def _name(self, key: Credential) -> str:
        return token_name(key.provider, key.id, self._prefix)

    def _cached(self, name: str) -> Token | None:
        sealed = self._redis.get(name)
        if not isinstance(sealed, bytes):
            return None
        try:
            stored = json.loads(self._vault.open(sealed, name))
        except CredentialError:
            # Its master key was replaced: another token is a request away.
            return None
        if stored["renew_at"] <= self._clock.now().timestamp():
            return None
        return Token(Secret(stored["value"]), stored["expires_at"])

    def _renew(self, name: str, config: ProviderConfig, key: Credential) -> Token:
        value, lifetime = fetch_token(config, key, self._clock)
        now = self._clock.now().timestamp()
        early = min(EARLY_SECONDS, lifetime / 10)
        token = Token(value, now + lifetime)
        sealed = self._sealed(name, token, token.expires_at - early)
        self._redis.set(name, sealed, px=max(1, int((lifetime - early) * 1000)))
        return token

    def _sealed(self, name: str, token: Token, renew_at: float) -> bytes:
        stored = {
            "value": token.value.get_secret_value(),
            "expires_at": token.expires_at,
            "renew_at": renew_at,
        }
        return self._vault.seal(json.dumps(stored).encode(), name)


def fetch_token(
    config: ProviderConfig, key: Credential, clock: Clock, *, seconds: float = FETCH_SECONDS
) -> tuple[Secret, float]:
    """Ask the provider's token endpoint; return the token and its life in seconds.

    It answers within `seconds` and `MAX_ANSWER_BYTES`, or `ProviderUnavailable` is raised.

    OAuth 2.0 client credentials, RFC 6749 section 4.4; the client authenticates by Basic or in
    the body (section 2.3.1). Redirects are refused: they would carry the secret elsewhere.
    """
    form = {"grant_type": "client_credentials"}
    if config.auth_scope:
        form["scope"] = config.auth_scope
    by_query = config.token_method == "GET"
    url = config.token_endpoint
    assert url is not None
    in_form = config.auth_method == "oauth2-body"
    deadline = clock.monotonic() + seconds
    try:
        with (
            _session() as session,
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
        raise ProviderUnavailable(
            f"The token endpoint of {config.name} gave no answer ({type(error).__name__}).",
            provider=config.name,
            sent=False,
        ) from None  # the error's own text holds the URL, which may hold the secret
    return _read_token(config, response.status_code, body)


class _Basic(AuthBase):
    """Puts id and secret into the header as the request leaves. RFC 7617."""

    def __init__(self, key: Credential) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        pair = f"{self._key.client_id}:{self._key.secret.get_secret_value()}"
        request.headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        return request


class _InForm(AuthBase):
    """Puts id and secret into the form, or into the query, as the request leaves."""

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


def _session() -> requests.Session:
    session = requests.Session()
    # A proxy or netrc of the machine must not see, or replace, a provider's credentials.
    session.trust_env = False
    adapter = BoundedAdapter()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _read_token(config: ProviderConfig, status: int, body: bytes) -> tuple[Secret, float]:
    if status >= 500 or status == 429:
        raise ProviderUnavailable(
            f"The token endpoint of {config.name} answered {status}.",
            provider=config.name,
            sent=False,
            status=status,
        )
    answer = _json_object(body)
    value = answer.get("access_token")
    if status == 200 and not (isinstance(value, str) and value):
        # Cut, or another page's: that tells nothing about the key.
        raise ProviderUnavailable(
            f"The token endpoint of {config.name} answered 200 without a token. If that stays so, "
            "check token_url.",
            provider=config.name,
            sent=False,
            status=status,
        )
    if status != 200 or not isinstance(value, str):
        word = answer.get("error")
        reason = f" ({word})" if isinstance(word, str) and len(word) < 60 else ""
        raise TokenRefused(
            f"{config.name} refused our key: its token endpoint answered "
            f"{status}{reason}. Check client id, secret and scope, and enter them "
            f"again with `sisgate keys add {config.name}`.",
            provider=config.name,
            status=status,
        )
    return Secret(value), _lifetime(answer.get("expires_in"))


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _lifetime(expires_in: Any) -> float:
    # PowerSchool writes the number as a string.
    try:
        seconds = float(expires_in)
    except (TypeError, ValueError):
        return DEFAULT_LIFETIME_SECONDS
    return seconds if 0 < seconds < 10**9 else DEFAULT_LIFETIME_SECONDS
