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

from redis import Redis
from redis.exceptions import RedisError

from sisgate.breakers.spec import State, Transition
from sisgate.domain.network import why_unreachable
from sisgate.errors import BrokerUnavailable

PREFIX = "sisgate:1"
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


def journal_key(provider: str, prefix: str = PREFIX) -> str:
    """Return the Redis key of a provider's journal, a stream."""
    return f"{prefix}:breaker-journal:{{{provider}}}"


def read_journals(redis: Redis, providers: Sequence[str]) -> dict[str, list[Entry]]:
    """Return what waits in each journal, oldest first, in one round trip; those with none not.

    Raises `BrokerUnavailable`.
    """
    pipe = redis.pipeline(transaction=False)
    for provider in providers:
        pipe.xrange(journal_key(provider), count=BATCH)
    try:
        answers = pipe.execute()
    except RedisError as error:
        raise BrokerUnavailable(f"Redis cannot be reached ({why_unreachable(error)}).") from error
    found = zip(providers, answers, strict=True)
    return {provider: [_entry(*raw) for raw in answer] for provider, answer in found if answer}


def forget_through(redis: Redis, provider: str, entry_id: str) -> None:
    """Drop the entries up to this one, which are kept elsewhere now. `BrokerUnavailable`."""
    key = journal_key(provider)
    pipe = redis.pipeline(transaction=False)
    pipe.xtrim(key, minid=entry_id, approximate=False)
    pipe.xdel(key, entry_id)
    try:
        pipe.execute()
    except RedisError as error:
        raise BrokerUnavailable(f"Redis cannot be reached ({why_unreachable(error)}).") from error


def _entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    words: dict[str, Any] = {name.decode(): value.decode() for name, value in fields.items()}
    change = Transition(State(words["before"]), State(words["after"]), words["reason"])
    at = datetime.fromtimestamp(float(words["at"]) / 1000, UTC)
    return Entry(entry_id.decode(), words["endpoint"], change, at)


def _place(entry_id: str) -> tuple[int, int]:
    milliseconds, number = entry_id.split("-")
    return int(milliseconds), int(number)
