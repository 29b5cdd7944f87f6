"""The journal: each transition of a provider's breakers, kept in Redis until it is copied.

The scripts add an entry atomically with the change of a breaker, so a worker that dies right after
loses no transition. A copier stores the id of the last entry in the same transaction as the copies:
then each is copied once, however often it is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sisgate.breakers.spec import State, Transition
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import BREAKER_JOURNAL

BATCH = 500
"""Entries read at a time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One transition of one endpoint's breaker. Ids grow; they are Redis' own, `ms-number`."""

    id: str
    endpoint: str
    transition: Transition
    at: datetime

    def is_after(self, entry_id: str | None) -> bool:
        """Whether the entry came after the one with that id; None is before all."""
        return entry_id is None or _place(self.id) > _place(entry_id)


def read_journals(redis: RedisClient, providers: Sequence[str]) -> dict[str, list[Entry]]:
    """Return the entries of each non-empty journal, oldest first, in one round trip.

    Raises `BrokerUnavailable`.
    """
    pipe = redis.pipeline(transaction=False)
    for provider in providers:
        pipe.xrange(BREAKER_JOURNAL(provider=provider), count=BATCH)
    journals = zip(providers, pipe.execute(), strict=True)
    return {provider: [_entry(*raw) for raw in rows] for provider, rows in journals if rows}


def forget_through(redis: RedisClient, provider: str, entry_id: str) -> None:
    """Drop the entries up to and including this one. Raises `BrokerUnavailable`."""
    key = BREAKER_JOURNAL(provider=provider)
    pipe = redis.pipeline(transaction=False)
    pipe.xtrim(key, minid=entry_id, approximate=False)
    pipe.xdel(key, entry_id)
    pipe.execute()


def _entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    texts: dict[str, Any] = {name.decode(): value.decode() for name, value in fields.items()}
    change = Transition(State(texts["before"]), State(texts["after"]), texts["reason"])
    at = datetime.fromtimestamp(float(texts["at"]) / 1000, UTC)
    return Entry(entry_id.decode(), texts["endpoint"], change, at)


def _place(entry_id: str) -> tuple[int, int]:
    milliseconds, number = entry_id.split("-")
    return int(milliseconds), int(number)
