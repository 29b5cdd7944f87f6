"""The sealed access tokens in Redis, for those who drop them and open none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import redis

from sisgate.domain.network import why_unreachable
from sisgate.errors import BrokerUnavailable
from sisgate.settings import ProviderConfig

PREFIX = "sisgate:1"
_HEADER_BYTES = 9


def token_name(config: ProviderConfig, key_id: str, prefix: str = PREFIX) -> str:
    """Return the name under which the token of a key is kept.

    A digest of what the token was asked for with is part of it: a corrected scope, say, must not
    wait for the end of the token that was got by the wrong one.
    """
    asked = [
        config.kind,
        config.version,
        config.token_endpoint,
        config.token_method,
        config.auth_method,
        config.auth_scope,
    ]
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    return f"{_of_key(config.name, key_id, prefix)}{digest}"


def _of_key(provider: str, key_id: str, prefix: str) -> str:
    return f"{prefix}:token:{provider}:{key_id}:"


class StoredTokens:
    """All tokens of the fleet. Methods raise `BrokerUnavailable`."""

    def __init__(self, client: redis.Redis, *, prefix: str = PREFIX) -> None:
        self._redis = client
        self._prefix = prefix

    def drop(self, provider: str, key_id: str) -> None:
        """Drop the tokens of a key that is used no longer."""
        try:
            names = list(self._names(_of_key(provider, key_id, self._prefix)))
            if names:
                self._redis.delete(*names)
        except redis.RedisError as error:
            raise unreachable(error) from error

    def drop_others(self, header: bytes) -> int:
        """Drop the tokens that do not begin with `header`; return how many."""
        try:
            every = self._names(f"{self._prefix}:token:")
            names = [name for name in every if self._header(name) != header]
            return int(self._redis.delete(*names)) if names else 0
        except redis.RedisError as error:
            raise unreachable(error) from error

    def _header(self, name: bytes) -> bytes:
        return bytes(self._redis.getrange(name, 0, _HEADER_BYTES - 1))  # type: ignore[arg-type]

    def _names(self, start: str) -> Iterator[bytes]:
        for name in self._redis.scan_iter(f"{start}*", count=1000):
            if not name.endswith((b":lock", b":wait")):
                yield name


def unreachable(error: redis.RedisError) -> BrokerUnavailable:
    """Return the error of a cache that does not answer."""
    return BrokerUnavailable(f"The token cache cannot be reached: {why_unreachable(error)}.")
