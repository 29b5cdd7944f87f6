"""The cache of access tokens: one per key for the fleet, fetched by one worker at a time."""

import json
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

from sisgate.bounded_http import checked_before_write
from sisgate.clock import Clock
from sisgate.credentials.keys import Credential
from sisgate.credentials.stored_tokens import token_name
from sisgate.credentials.token_endpoint import FETCH_SECONDS, fetch_token
from sisgate.credentials.vault import Vault
from sisgate.domain.certificates import NoteCertificate
from sisgate.domain.secret import Secret
from sisgate.errors import CredentialError, NoPermit, ProviderUnavailable, Throttled
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import token_lock, token_wait
from sisgate.redis.scripts import run_script
from sisgate.settings import ProviderConfig

LOCK_SECONDS = 20
"""Longer than a fetch may take, so that a second worker never fetches at the same time."""

EARLY_SECONDS = 60.0
"""A token is renewed this long before its end, or at a tenth of its life if that is less."""


@dataclass(frozen=True)
class CachedToken:
    """An access token; `is_new` if it was fetched just now and not found in the cache."""

    value: Secret
    is_new: bool = False


class TokenCache:
    """Holds the current token of each key; a refused one is replaced once for the fleet.

    Redis expires the tokens, so no worker's clock matters. A token belongs to the configuration it
    was requested with: after a change of that, another one is fetched.
    """

    def __init__(
        self,
        client: RedisClient,
        vault: Vault,
        clock: Clock,
        note_certificate: NoteCertificate | None = None,
    ) -> None:
        self._note_certificate = note_certificate
        self._redis = client
        self._vault = vault
        self._clock = clock

    def get(self, config: ProviderConfig, key: Credential) -> CachedToken:
        """Return a token that is still valid, fetching one if need be.

        Raises what `fetch_token` raises, `Throttled` while the token endpoint has asked us to wait,
        and `BrokerUnavailable` if the cache cannot be reached.
        """
        deadline = self._clock.monotonic() + LOCK_SECONDS
        name, mine = token_name(config, key.id), uuid.uuid4().hex
        while True:
            token = self._cached(name)
            if token is not None:
                return token
            locked_at = self._clock.monotonic()
            if self._redis.set(token_lock(name), mine, nx=True, ex=LOCK_SECONDS):
                try:
                    with checked_before_write(partial(self._check_lock, locked_at, config)):
                        return self._cached(name) or self._renew(name, config, key)
                finally:
                    run_script(self._redis, "redis/release_lock", [token_lock(name)], [mine])
            if self._clock.monotonic() > deadline:
                raise ProviderUnavailable(
                    f"No token for {config.name} came within {LOCK_SECONDS} s; another worker "
                    "is fetching one. The call is tried again.",
                    provider=config.name,
                    sent=False,
                )
            self._clock.sleep(0.05)

    def _check_lock(self, locked_at: float, config: ProviderConfig) -> None:
        """Raise `NoPermit` if another worker may be fetching the token by now."""
        if self._clock.monotonic() + FETCH_SECONDS > locked_at + LOCK_SECONDS:
            message = f"The lock of the token of {config.name} ended before it was asked for."
            raise NoPermit(message, seconds=0.0, provider=config.name)

    def forget(self, config: ProviderConfig, key: Credential, token: CachedToken) -> None:
        """Drop a token that the provider refused, unless it has been replaced already."""
        name = token_name(config, key.id)
        cached = self._cached(name)
        if cached is not None and cached.value == token.value:
            self._redis.delete(name)

    def _cached(self, name: str) -> CachedToken | None:
        sealed = self._redis.get(name)
        if not isinstance(sealed, bytes):
            return None
        try:
            return CachedToken(Secret(json.loads(self._vault.open(sealed, name))["value"]))
        except CredentialError:
            # Its master key was replaced: another token is a request away.
            return None

    def _renew(self, name: str, config: ProviderConfig, key: Credential) -> CachedToken:
        self._check_block(name, config)
        try:
            value, lifetime = fetch_token(
                config, key, self._clock, note_certificate=self._note_certificate
            )
        except Throttled as error:
            self._redis.set(token_wait(name), b"", px=max(1, int(error.seconds * 1000)))
            raise
        early = min(EARLY_SECONDS, lifetime / 10)
        stored = json.dumps({"value": value.get_secret_value()}).encode()
        sealed = self._vault.seal(stored, name)
        self._redis.set(name, sealed, px=max(1, int((lifetime - early) * 1000)))
        return CachedToken(value, is_new=True)

    def _check_block(self, name: str, config: ProviderConfig) -> None:
        """Raise `Throttled` if the token endpoint has told another call to wait."""
        left: Any = self._redis.pttl(token_wait(name))
        if left > 0:
            raise Throttled(
                f"The token endpoint of {config.name} asked us to wait. The call is tried again "
                "then.",
                seconds=left / 1000,
                provider=config.name,
            )
