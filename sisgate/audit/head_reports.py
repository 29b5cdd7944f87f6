"""Whether the fleet's workers can keep the heads of the audit log, as each of them last found.

The file is on the host of whichever worker seals, which is seldom the one that looks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import redis

from sisgate.errors import BrokerUnavailable

KEY = "sisgate:1:audit-heads"
SECONDS = 86_400
"""A worker that has not sealed for so long says nothing any more."""


@dataclass(frozen=True)
class HeadReport:
    """What a host's worker found at its last head: `error` is None where it could be kept."""

    host: str
    path: str
    error: str | None


def report(client: redis.Redis, found: HeadReport) -> None:
    """Note what a host found. Raises redis-py's own errors."""
    client.hset(KEY, found.host, json.dumps([found.path, found.error]))
    client.expire(KEY, SECONDS)


def reports(client: redis.Redis) -> Sequence[HeadReport]:
    """Return what each host found. Raises `BrokerUnavailable`."""
    try:
        found = client.hgetall(KEY)
    except redis.RedisError as error:
        raise BrokerUnavailable(f"Redis cannot be reached ({type(error).__name__}).") from error
    # This client decodes nothing.
    return [HeadReport(bytes(host).decode(), *json.loads(found[host])) for host in sorted(found)]  # type: ignore[arg-type]
