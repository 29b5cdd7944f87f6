"""The format of the fleet's messages; anything else in a queue is quarantined."""

import base64
from collections.abc import Mapping
from typing import Any

from kombu.utils.json import dumps, loads

from sisgate.broker import APP_TASKS
from sisgate.logs import get_logger
from sisgate.quarantine import Quarantine
from sisgate.redis.client import RedisClient

log = get_logger()

MAX_MESSAGE_BYTES = 1_000_000
"""Messages carry ids. What is larger is not ours."""


CALLBACKS = {"callbacks": "link", "errbacks": "link_error", "chain": "chain", "chord": "chord"}
"""What Celery embeds in a message for the worker to send on, and the name its callers use."""

REFUSED = "sisgate_refused"
"""The header that lists, as text, what was removed from a task's message."""


class NotOurs(ValueError):
    """A message that would crash Celery, or that is too expensive to read."""


def read_message(text: bytes) -> dict[str, Any]:
    """Return the payload of a message; raises `NotOurs` or another `ValueError` if invalid."""
    if len(text) > MAX_MESSAGE_BYTES:
        raise NotOurs(f"{len(text)} bytes")
    try:
        payload = loads(text)
    except RecursionError:
        raise NotOurs("nested too deep") from None
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001  # kombu makes dates and decimals, each with its errors
        raise NotOurs(f"a value cannot be read ({type(error).__name__})") from None
    check(payload)
    assert isinstance(payload, dict)
    return payload


def check(payload: Any) -> None:
    """Raise `NotOurs` unless Celery can make a task request of a payload.

    Celery 5.7 takes these shapes for granted and exits if they do not hold. Compression is refused
    because a small message may expand to gigabytes.

    A message requests one task, now. Callbacks would let anyone who can push a message make the
    fleet send any other, and an ETA is held in a worker's memory. The tasks that apps send lose
    them here and report that to the sender; any other message is refused.
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
    refused = _refused(payload)
    if refused:
        _expect(headers["task"] in APP_TASKS, f"asks for {refused}")
        args, kwargs, _ = _body(payload)
        body = base64.b64encode(dumps([args, kwargs, {}]).encode()).decode()
        payload["properties"]["body_encoding"] = "base64"
        payload["body"] = body
        for name in (*CALLBACKS, "eta"):
            headers.pop(name, None)
        headers[REFUSED] = refused


def put_aside(client: RedisClient, text: bytes | str, reason: Exception, queue: str) -> None:
    """Put a refused message in quarantine, and log that without its content."""
    what = str(reason) if isinstance(reason, NotOurs) else type(reason).__name__
    # The decoder's errors may carry a text that is not even Unicode.
    kept = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    message = Quarantine(client).put(kept, what, queue)
    log.error("message_quarantined", message=message, queue=queue, reason=what)


def _refused(payload: Mapping[str, Any]) -> str:
    """Return what a message requests besides its task, as Celery's callers name it; or ''.

    Celery merges the headers and what the body embeds into one request, so both are checked, and
    the body may embed nothing else: it could replace a header set by admission.
    """
    headers, (_, _, embedded) = payload["headers"], _body(payload)
    _expect(embedded.keys() <= CALLBACKS.keys(), "its body has more than a task")
    extras = [label for name, label in CALLBACKS.items() if embedded.get(name) or headers.get(name)]
    if headers.get("eta") is not None:
        extras.append("eta or countdown")
    return ", ".join(extras)


def _body(payload: Mapping[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Return a message's arguments and what its body embeds, read as Celery will read them."""
    _expect(payload.get("content-type") == "application/json", "not JSON")
    _expect(payload.get("content-encoding") in {"utf-8", "UTF-8"}, "not UTF-8")
    encoding, text = payload["properties"].get("body_encoding"), payload["body"]
    _expect(encoding in {None, "base64"}, "an unknown encoding of the body")
    try:
        # As kombu does: characters outside the alphabet are skipped.
        body = loads(base64.b64decode(text) if encoding else text)
    except Exception:  # noqa: BLE001  # kombu makes dates, decimals and UUIDs, each with its errors
        raise NotOurs("the body cannot be read") from None
    # A body that is an object is in Celery's protocol 1, which has callbacks elsewhere.
    _expect(isinstance(body, list) and len(body) == 3, "the body is not of Celery's protocol 2")
    args, kwargs, embedded = body
    _expect(isinstance(args, list) and isinstance(kwargs, dict), "no arguments")
    _expect(embedded is None or isinstance(embedded, dict), "its body has more than a task")
    return args, kwargs, embedded or {}


def _is_timelimit(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, list) or len(value) != 2:
        return False
    return all(part is None or isinstance(part, int | float) for part in value)


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotOurs(otherwise)
