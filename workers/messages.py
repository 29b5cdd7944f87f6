"""What a message of ours looks like; whatever else is found in a queue is put aside."""

from __future__ import annotations

from typing import Any

import redis
import structlog
from kombu.utils.json import loads

from sisgate.quarantine import Quarantine

log = structlog.get_logger()

MAX_MESSAGE_BYTES = 1_000_000
"""Messages carry ids. What is larger is not ours."""


class NotOurs(ValueError):
    """A message that Celery could not survive, or that would take too much to read."""


def read_message(text: bytes) -> dict[str, Any]:
    """Return the payload of a message; `NotOurs` or another `ValueError` where it is none."""
    if len(text) > MAX_MESSAGE_BYTES:
        raise NotOurs(f"{len(text)} bytes")
    try:
        payload = loads(text)
    except RecursionError:
        raise NotOurs("nested too deep") from None
    check(payload)
    assert isinstance(payload, dict)
    return payload


def check(payload: Any) -> None:
    """Raise `NotOurs` unless Celery can make a task request of a payload.

    Celery 5.7 takes these shapes for granted and exits where they do not hold. Compression is
    refused because a small message may become gigabytes when it is read.
    """
    _expect(isinstance(payload, dict), "not an object")
    headers, properties = payload.get("headers"), payload.get("properties")
    _expect(isinstance(headers, dict), "headers are not an object")
    _expect(isinstance(properties, dict), "properties are not an object")
    _expect(isinstance(properties.get("delivery_tag"), str), "no delivery tag")
    delivery = properties.get("delivery_info")
    _expect(isinstance(delivery, dict), "no delivery information")
    for name in ("exchange", "routing_key"):
        _expect(isinstance(delivery.get(name), str), f"no {name}")
    _expect(isinstance(payload.get("body"), str), "no body")
    _expect(len(payload["body"]) <= MAX_MESSAGE_BYTES, "the body is too large")
    for name in ("task", "id"):
        _expect(isinstance(headers.get(name), str), f"no {name}")
    _expect("compression" not in headers, "compressed")
    # Only admission puts a permit into a message, after this check.
    _expect("sisgate_permit" not in headers, "comes with a permit")
    _expect(_is_timelimit(headers.get("timelimit")), "timelimit is no pair of seconds")


def put_aside(client: redis.Redis, text: bytes | str, reason: Exception, queue: str) -> None:
    """Put a message that was refused in quarantine, and tell of it without its content."""
    what = str(reason) if isinstance(reason, NotOurs) else type(reason).__name__
    # The decoder's errors may carry a text that is not even Unicode.
    kept = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    message = Quarantine(client).put(kept, what, queue)
    log.error("message_quarantined", message=message, queue=queue, reason=what)


def _is_timelimit(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, list) or len(value) != 2:
        return False
    return all(part is None or isinstance(part, int | float) for part in value)


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotOurs(otherwise)
