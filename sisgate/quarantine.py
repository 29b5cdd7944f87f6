"""Messages that no worker could process, kept in Redis for inspection.

A message may hold anything, including personal data. So only its size, the reason and its outline
(`sisgate.domain.message_shape`) are shown.
"""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sisgate.domain.message_shape import parsed, shown_task, task_of
from sisgate.domain.priorities import PRIORITY_STEPS
from sisgate.errors import UnknownMessage
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import QUARANTINE
from sisgate.redis.queues import queue_keys
from sisgate.redis.scripts import run_script

LENGTH = 100
"""Messages kept; the oldest are dropped first."""

KEPT_BYTES = 8_000
"""How much of a message is kept. Ours are about 1,000 bytes."""

NO_QUEUE = "?"
"""Stands for an unknown queue: kombu reports none for a message that is not JSON."""

_QUEUE = re.compile(r"[a-z][a-z0-9_-]*|\?")
"""Queues of the fleet. A message is never put back into any other list."""


@dataclass(frozen=True)
class BadMessage:
    """A message in quarantine. `task` is None if it names none that can be shown.

    `at` is None for an entry that no worker put into the list; it can be read and dropped.
    """

    id: str
    at: datetime | None
    queue: str
    reason: str
    task: str | None
    size: int
    text: bytes = field(repr=False)
    """Its first `KEPT_BYTES` at most. Never shown."""
    entry: bytes = field(default=b"", repr=False)
    """The raw entry in Redis."""

    @property
    def is_whole(self) -> bool:
        """Whether the entire message was kept."""
        return self.size == len(self.text)

    def as_dict(self) -> dict[str, Any]:
        """Return what may be shown, JSON-ready."""
        return {
            "id": self.id,
            "at": self.at,
            "queue": self.queue,
            "reason": self.reason,
            "task": self.task,
            "bytes": self.size,
            "whole": self.is_whole,
        }


class Quarantine:
    """The list in Redis. Its methods raise `BrokerUnavailable`."""

    def __init__(self, client: RedisClient) -> None:
        self._redis = client

    def put(self, text: bytes, reason: str, queue: str) -> str:
        """Keep a message and return its id."""
        # Workers on several hosts write here, so no host's own clock is used.
        seconds, micros = self._redis.time()
        entry = {
            "id": secrets.token_hex(4),
            "at": float(seconds) + float(micros) / 1e6,
            "queue": queue if _QUEUE.fullmatch(queue) else NO_QUEUE,
            "reason": reason,
            "task": task_of(text),
            "size": len(text),
            "text": base64.b64encode(text[:KEPT_BYTES]).decode(),
        }
        self._redis.lpush(QUARANTINE(), json.dumps(entry))
        self._redis.ltrim(QUARANTINE(), 0, LENGTH - 1)
        return str(entry["id"])

    def messages(self) -> Sequence[BadMessage]:
        """Return the messages, newest first."""
        entries = self._redis.lrange(QUARANTINE(), 0, -1)
        return [_message(bytes(raw)) for raw in entries]  # type: ignore[arg-type]  # this client decodes nothing

    def message(self, message_id: str) -> BadMessage:
        """Return one message; `UnknownMessage` if it is not, or no longer, there."""
        for message in self.messages():
            if message.id == message_id:
                return message
        raise unknown(message_id)

    def requeue(self, message: BadMessage) -> None:
        """Put a message for which `refusal` returns None back into its queue, by its priority.

        Raises `UnknownMessage` if it is gone. A worker that cannot process it quarantines it again.
        """
        keys = (QUARANTINE(), _list_of(message))
        if not run_script(self._redis, "redis/move_message", keys, (message.entry, message.text)):
            raise unknown(message.id)

    def drop(self, message: BadMessage) -> None:
        """Delete a message; `UnknownMessage` if it is gone."""
        if not self._redis.lrem(QUARANTINE(), 1, message.entry):  # type: ignore[arg-type]  # takes bytes
            raise unknown(message.id)


def refusal(message: BadMessage) -> str | None:
    """Return why a message cannot be put back into its queue; None if it can.

    >>> from datetime import UTC
    >>> bad = BadMessage("1", datetime.now(UTC), "lincoln", "not an object", None, 2, b"42")
    >>> refusal(bad)
    'Message 1 is not a JSON object: no worker can ever process it. Drop it.'
    """
    if not message.is_whole:
        return f"Only the first {KEPT_BYTES:,} bytes of message {message.id} were kept. Drop it."
    if message.queue == NO_QUEUE or not isinstance(parsed(message.text), dict):
        return f"Message {message.id} is not a JSON object: no worker can ever process it. Drop it."
    return None


def unknown(message_id: str) -> UnknownMessage:
    """Return the error for an id that no message has."""
    return UnknownMessage(
        f"No message {message_id[:40]} is in quarantine; it may have been removed. "
        "`sisgate quarantine list` shows all messages."
    )


def _list_of(message: BadMessage) -> str:
    """Return the Redis list of the message's queue and priority, the most urgent by default."""
    payload = json.loads(message.text)
    properties = payload.get("properties")
    priority = properties.get("priority") if isinstance(properties, dict) else None
    steps = queue_keys(message.queue)
    return steps[PRIORITY_STEPS.index(priority)] if priority in PRIORITY_STEPS else steps[0]


class _Entry(BaseModel):
    """An entry as a worker writes it. Anybody with the broker's password can add others."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    at: Annotated[float, Field(ge=0, le=32503680000)]
    queue: Annotated[str, Field(pattern=f"^({_QUEUE.pattern})$")]
    reason: str
    task: str | None
    size: int
    text: str


def _message(raw: bytes) -> BadMessage:
    try:
        kept = _Entry.model_validate_json(raw)
        text = base64.b64decode(kept.text, validate=True)
    except ValueError:
        reason, known = "put into quarantine by no worker", hashlib.sha256(raw).hexdigest()[:8]
        return BadMessage(known, None, NO_QUEUE, reason, None, len(raw), raw[:KEPT_BYTES], raw)
    at, task = datetime.fromtimestamp(kept.at, UTC), shown_task(kept.task)
    reason = kept.reason if kept.reason.isprintable() else ascii(kept.reason)
    return BadMessage(kept.id, at, kept.queue, reason, task, kept.size, text, raw)
