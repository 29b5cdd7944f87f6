"""The journal: each transition of a provider's breakers, kept in Redis until it is written down.

The scripts add an entry in the same step that changes a breaker, so a worker that dies right after
takes no transition with it. Who copies entries keeps the id of the last one where the copies are,
in one transaction with them: then each is copied once, however often it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sisgate.breakers.spec import State, Transition
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import BREAKER_JOURNAL

BATCH = 500
"""Entries that are read at once."""


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
    """Return what waits in each journal, oldest first, in one round trip; those with none not.

    Raises `BrokerUnavailable`.
    """
    pipe = redis.pipeline(transaction=False)
    for provider in providers:
        pipe.xrange(BREAKER_JOURNAL(provider=provider), count=BATCH)
    found = zip(providers, pipe.execute(), strict=True)
    return {provider: [_entry(*raw) for raw in answer] for provider, answer in found if answer}


def forget_through(redis: RedisClient, provider: str, entry_id: str) -> None:
    """Drop the entries up to this one, which are kept elsewhere now. `BrokerUnavailable`."""
    key = BREAKER_JOURNAL(provider=provider)
    pipe = redis.pipeline(transaction=False)
    pipe.xtrim(key, minid=entry_id, approximate=False)
    pipe.xdel(key, entry_id)
    pipe.execute()


def _entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    words: dict[str, Any] = {name.decode(): value.decode() for name, value in fields.items()}
    change = Transition(State(words["before"]), State(words["after"]), words["reason"])
    at = datetime.fromtimestamp(float(words["at"]) / 1000, UTC)
    return Entry(entry_id.decode(), words["endpoint"], change, at)


def _place(entry_id: str) -> tuple[int, int]:
    milliseconds, number = entry_id.split("-")
    return int(milliseconds), int(number)
