"""The sealed access tokens in Redis, for those who drop them and open none."""

from __future__ import annotations

from collections.abc import Iterator

import redis

from sisgate.errors import BrokerUnavailable

PREFIX = "sisgate:1"
_HEADER_BYTES = 9


def token_name(provider: str, key_id: str, prefix: str = PREFIX) -> str:
    """Return the name under which the token of a key is kept."""
    return f"{prefix}:token:{provider}:{key_id}"


class StoredTokens:
    """All tokens of the fleet. Methods raise `BrokerUnavailable`."""

    def __init__(self, client: redis.Redis, *, prefix: str = PREFIX) -> None:
        self._redis = client
        self._prefix = prefix

    def drop(self, provider: str, key_id: str) -> None:
        """Drop the token of a key that is used no longer."""
        try:
            self._redis.delete(token_name(provider, key_id, self._prefix))
        except redis.RedisError as error:
            raise _unreachable(error) from error

    def drop_others(self, header: bytes) -> int:
        """Drop the tokens that do not begin with `header`; return how many."""
        try:
            names = [name for name in self._names() if self._header(name) != header]
            return int(self._redis.delete(*names)) if names else 0
        except redis.RedisError as error:
            raise _unreachable(error) from error

    def _header(self, name: bytes) -> bytes:
        return bytes(self._redis.getrange(name, 0, _HEADER_BYTES - 1))  # type: ignore[arg-type]

    def _names(self) -> Iterator[bytes]:
        for name in self._redis.scan_iter(f"{self._prefix}:token:*", count=1000):
            if not name.endswith(b":lock"):
                yield name


def _unreachable(error: redis.RedisError) -> BrokerUnavailable:
    return BrokerUnavailable(f"The token cache cannot be reached: {error}")
