"""The sealed access tokens in Redis, for code that drops them and opens none."""

import hashlib
import json
from collections.abc import Iterator

from sisgate.redis.client import RedisClient
from sisgate.redis.keys import TOKEN
from sisgate.settings import ProviderConfig

_HEADER_BYTES = 9


def token_name(config: ProviderConfig, key_id: str) -> str:
    """Return the name under which the token of a key is kept.

    It includes a digest of the settings that the token was requested with: a corrected scope, say,
    must not wait for the token of the wrong one to expire.
    """
    settings = [
        config.kind,
        config.version,
        config.token_endpoint,
        config.token_method,
        config.auth_method,
        config.auth_scope,
    ]
    digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
    return TOKEN(provider=config.name, key_id=key_id, digest=digest)


class StoredTokens:
    """All tokens of the fleet. Methods raise `BrokerUnavailable`."""

    def __init__(self, client: RedisClient) -> None:
        self._redis = client

    def drop(self, provider: str, key_id: str) -> None:
        """Drop the tokens of a key that is no longer used."""
        names = list(self._names(TOKEN(provider=provider, key_id=key_id, digest="*")))
        if names:
            self._redis.delete(*names)

    def drop_others(self, header: bytes) -> int:
        """Drop the tokens that do not begin with `header`; return how many."""
        every = self._names(TOKEN(provider="*", key_id="*", digest="*"))
        names = [name for name in every if self._header(name) != header]
        return int(self._redis.delete(*names)) if names else 0

    def _header(self, name: bytes) -> bytes:
        return bytes(self._redis.getrange(name, 0, _HEADER_BYTES - 1))  # type: ignore[arg-type]

    def _names(self, pattern: str) -> Iterator[bytes]:
        for name in self._redis.scan_iter(pattern, count=1000):
            if not name.endswith((b":lock", b":wait")):
                yield name
