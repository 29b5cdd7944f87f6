"""Messages that no worker could take, kept in Redis for a person: the list, and what is told of it.

A message may hold anything, also what must not be in one. So what is told of it is its size, the
reason, and its outline: the names that Celery's messages have, and kinds of values.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from sisgate.domain.priorities import PRIORITY_STEPS
from sisgate.domain.queues import queue_keys
from sisgate.errors import BrokerUnavailable, InvalidState, UnknownMessage

KEY = "sisgate:1:quarantine"
LENGTH = 100
"""Messages kept; the oldest go first."""

KEPT_BYTES = 8_000
"""How much of a message is kept. Ours have about 1,000 bytes."""

NO_QUEUE = "?"
"""Where the queue is not known: kombu tells none for what is no JSON."""

_TASK = re.compile(r"[A-Za-z_][\w.-]{0,99}")
_NAMES = frozenset(
    [
        "argsrepr",
        "body",
        "body_encoding",
        "content-encoding",
        "content-type",
        "correlation_id",
        "delivery_info",
        "delivery_mode",
        "delivery_tag",
        "eta",
        "exchange",
        "expires",
        "group",
        "headers",
        "id",
        "ignore_result",
        "kwargsrepr",
        "lang",
        "origin",
        "parent_id",
        "priority",
        "properties",
        "reply_to",
        "replaced_task_nesting",
        "retries",
        "root_id",
        "routing_key",
        "shadow",
        "stamped_headers",
        "stamps",
        "task",
        "timelimit",
    ]
)

# One step, so that of two who put a message back only one does.
_MOVE = """
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('LPUSH', KEYS[2], ARGV[2])
return 1
"""


@dataclass(frozen=True)
class BadMessage:
    """A message in quarantine. `task` is None where it names none that can be shown."""

    id: str
    at: datetime
    queue: str
    reason: str
    task: str | None
    size: int
    text: bytes
    """Its beginning, at most `KEPT_BYTES`. Not for showing."""

    @property
    def is_whole(self) -> bool:
        """Whether all of it was kept."""
        return self.size == len(self.text)

    def as_dict(self) -> dict[str, Any]:
        """Return what is told of it, JSON-ready."""
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

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._move = client.register_script(_MOVE)

    def put(self, text: bytes, reason: str, queue: str) -> str:
        """Keep a message and return its id; raises redis-py's own errors, as a worker expects."""
        # Workers on several hosts write here, so no host's own clock is asked.
        seconds, micros = self._redis.time()
        entry = {
            "id": secrets.token_hex(4),
            "at": float(seconds) + float(micros) / 1e6,
            "queue": queue,
            "reason": reason,
            "task": task_of(text),
            "size": len(text),
            "text": base64.b64encode(text[:KEPT_BYTES]).decode(),
        }
        self._redis.lpush(KEY, json.dumps(entry))
        self._redis.ltrim(KEY, 0, LENGTH - 1)
        return str(entry["id"])

    def messages(self) -> Sequence[BadMessage]:
        """Return what is in quarantine, the newest first."""
        return [_message(raw) for raw in self._raw()]

    def message(self, message_id: str) -> BadMessage:
        """Return one; `UnknownMessage` where there is none (any more)."""
        return _message(self._find(message_id))

    def requeue(self, message_id: str) -> str:
        """Put a message back into its queue, behind its priority; return the queue.

        Raises `UnknownMessage`, and `InvalidState` for one that `refusal` tells of. A worker that
        cannot take it puts it here once more.
        """
        raw = self._find(message_id)
        message = _message(raw)
        if (why := refusal(message)) is not None:
            raise InvalidState(why)
        try:
            moved = self._move(keys=[KEY, _list_of(message)], args=[raw, message.text])
        except redis.RedisError as error:
            raise _lost(error) from error
        if not moved:
            raise unknown(message_id)
        return message.queue

    def drop(self, message_id: str) -> None:
        """Forget a message; `UnknownMessage` where there is none (any more)."""
        raw = self._find(message_id)
        try:
            dropped = self._redis.lrem(KEY, 1, raw.decode())
        except redis.RedisError as error:
            raise _lost(error) from error
        if not dropped:
            raise unknown(message_id)

    def _raw(self) -> list[bytes]:
        try:
            return [bytes(raw) for raw in self._redis.lrange(KEY, 0, -1)]  # type: ignore[arg-type]  # this client decodes nothing
        except redis.RedisError as error:
            raise _lost(error) from error

    def _find(self, message_id: str) -> bytes:
        found = [raw for raw in self._raw() if json.loads(raw)["id"] == message_id]
        if not found:
            raise unknown(message_id)
        return found[0]


def refusal(message: BadMessage) -> str | None:
    """Return why a message cannot be put back into its queue, None if it can.

    >>> from datetime import UTC
    >>> bad = BadMessage("1", datetime.now(UTC), "lincoln", "not an object", None, 2, b"42")
    >>> refusal(bad)
    'Message 1 is no JSON object: no worker can ever take it. Drop it.'
    """
    if not message.is_whole:
        return f"Of message {message.id} only the first {KEPT_BYTES:,} bytes were kept. Drop it."
    if message.queue == NO_QUEUE or not isinstance(_read(message.text), dict):
        return f"Message {message.id} is no JSON object: no worker can ever take it. Drop it."
    return None


def task_of(text: bytes) -> str | None:
    """Return the task that a message names, None for none or for what is no name of a task.

    >>> task_of(b'{"headers": {"task": "sisgate.sync"}}')
    'sisgate.sync'
    >>> task_of(b'{"headers": {"task": "Eve K"}}') is None
    True
    """
    payload = _read(text)
    headers = payload.get("headers") if isinstance(payload, dict) else None
    task = headers.get("task") if isinstance(headers, dict) else None
    return task if isinstance(task, str) and _TASK.fullmatch(task) else None


def outline(text: bytes) -> Any:
    """Return the shape of a message without its values, and without names that are not Celery's.

    >>> outline(b'{"body": "W10=", "headers": {"id": 7, "Eve K": 1}}')
    {'body': 'text, 4 characters', 'headers': {'id': 'number', 'other names': 1}}
    >>> outline(b"Eve K")
    'no JSON'
    """
    try:
        return _outline(json.loads(text))
    except (ValueError, RecursionError):
        return "no JSON"


def unknown(message_id: str) -> UnknownMessage:
    """Return the error for an id that no message has."""
    return UnknownMessage(
        f"No message {message_id[:40]} is in quarantine (any more). `sisgate quarantine list` "
        "shows those that are."
    )


def _outline(value: Any, depth: int = 0) -> Any:
    if isinstance(value, dict):
        if depth > 2:
            return f"object, {len(value)} names"
        known = {name: _outline(value[name], depth + 1) for name in value if name in _NAMES}
        others = len(value) - len(known)
        return {**known, "other names": others} if others else known
    if isinstance(value, list):
        return f"list, {len(value)} items"
    if isinstance(value, str):
        return f"text, {len(value)} characters"
    if isinstance(value, bool) or value is None:
        return "null" if value is None else "truth value"
    return "number"


def _read(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _list_of(message: BadMessage) -> str:
    """Return the Redis list of the message's queue and priority; the most urgent for an odd one."""
    payload = json.loads(message.text)
    properties = payload.get("properties")
    priority = properties.get("priority") if isinstance(properties, dict) else None
    steps = queue_keys(message.queue)
    return steps[PRIORITY_STEPS.index(priority)] if priority in PRIORITY_STEPS else steps[0]


def _message(raw: bytes) -> BadMessage:
    entry = json.loads(raw)
    at = datetime.fromtimestamp(entry.pop("at"), UTC)
    return BadMessage(**{**entry, "at": at, "text": base64.b64decode(entry["text"])})


def _lost(error: redis.RedisError) -> BrokerUnavailable:
    return BrokerUnavailable(f"Redis cannot be reached ({type(error).__name__}).")
