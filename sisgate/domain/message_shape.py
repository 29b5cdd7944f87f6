"""The outline of a message that may hold anything, without its values. Pure."""

import json
import re
from typing import Any

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


def task_of(text: bytes) -> str | None:
    """Return the task that a message names, None without a valid name.

    >>> task_of(b'{"headers": {"task": "sisgate.sync"}}')
    'sisgate.sync'
    >>> task_of(b'{"headers": {"task": "Eve K"}}') is None
    True
    """
    payload = parsed(text)
    headers = payload.get("headers") if isinstance(payload, dict) else None
    return shown_task(headers.get("task") if isinstance(headers, dict) else None)


def shown_task(task: object) -> str | None:
    """Return the name of a task, None for anything that is not a valid name."""
    return task if isinstance(task, str) and _TASK.fullmatch(task) else None


def outline(text: bytes) -> Any:
    """Return the outline of a message, without values and without names that are not Celery's.

    >>> outline(b'{"body": "W10=", "headers": {"id": 7, "Eve K": 1}}')
    {'body': 'text, 4 characters', 'headers': {'id': 'number', 'other names': 1}}
    >>> outline(b"Eve K")
    'no JSON'
    """
    try:
        return _outline(json.loads(text))
    except (ValueError, RecursionError):
        return "no JSON"


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


def parsed(text: bytes) -> Any:
    """Return the parsed JSON, None if it is invalid."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
