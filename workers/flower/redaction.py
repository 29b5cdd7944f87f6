"""What Flower may keep of a task: ids and the words of our own tasks, whatever a sender wrote.

Messages of ours carry ids only. Those of other Celery apps carry what the app wrote, and errors
quote what they failed on.
"""

import ast
import re
from collections.abc import Mapping
from typing import Any

NOT_SHOWN = "…"

SHOWN = frozenset(
    {
        "call_id", "job_id", "provider", "resource", "mode", "priority", "allow_deletes",
        "timeout", "limit",
    }
)  # fmt: skip
"""The arguments whose values are shown, if they look like an id, a name or a number."""

_OUTCOME = re.compile(
    r"None|True|False|'(job [0-9a-z-]{1,36}: [a-z0-9_ ,]{1,100}|not due|the provider was removed)'"
)
"""What tasks of ours return (`workers.calls.execute`)."""

_PLAIN = re.compile(r"[\w.:*/-]{1,64}", re.ASCII)
_LONGEST = 2000
_ERROR = re.compile(r"([\w.]+)\(")
_PLACE = re.compile(r"Traceback \(most recent call last\):$|  File \"|[ ~^]+$")
"""A line of a traceback that names a place; the next one may quote its code."""

_RAISED = re.compile(r"([\w.]*(?:Error|Exception|Exceeded|Unavailable|Lost))(?::|$)")


def without_data(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event of a task without anything but ids, names, numbers and kinds of errors.

    >>> without_data({"type": "task-failed", "exception": "KeyError('Ada Lovelace')"})
    {'type': 'task-failed', 'exception': 'KeyError'}
    """
    changed = {
        name: change(str(event[name])) for name, change in _CHANGES.items() if event.get(name)
    }
    return {**event, **changed}


def _positional(text: str) -> str:
    return text if text in {"()", "[]"} else f"({NOT_SHOWN})"


def _named(text: str) -> str:
    """Return keyword arguments as they are written, the values of others than ours left out.

    >>> _named("{'job_id': 'a1-b2', 'student': 'Ada'}")
    "{'job_id': 'a1-b2', 'student': …}"
    >>> _named("cut off, or no arguments at all")
    '{…}'
    """
    try:
        values = ast.literal_eval(text) if len(text) <= _LONGEST else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        values = None
    if not isinstance(values, dict):
        return f"{{{NOT_SHOWN}}}"
    shown = (f"{_name(name)}: {_value(name, value)}" for name, value in values.items())
    return f"{{{', '.join(shown)}}}"


def _name(name: object) -> str:
    return repr(name) if isinstance(name, str) and _PLAIN.fullmatch(name) else NOT_SHOWN


def _value(name: object, value: object) -> str:
    if name not in SHOWN or not isinstance(value, str | int | float | None):
        return NOT_SHOWN
    return repr(value) if not isinstance(value, str) or _PLAIN.fullmatch(value) else NOT_SHOWN


def _kind(text: str) -> str:
    """Return which error it is, without what it says."""
    kind = _ERROR.match(text)
    return kind[1] if kind else NOT_SHOWN


def _outcome(text: str) -> str:
    """Return a result if it is one of ours.

    >>> _outcome("'job a1: answered 200'"), _outcome("{'student': 'Ada'}")
    ("'job a1: answered 200'", '…')
    """
    return text if _OUTCOME.fullmatch(text) else NOT_SHOWN


def _frames(text: str) -> str:
    """Return a traceback's places and kinds of errors, without what the errors say."""
    lines: list[str] = []
    for line in text.splitlines():
        is_code = bool(lines) and lines[-1].startswith("  File ") and line.startswith("    ")
        if is_code or _PLACE.match(line):
            lines.append(line)
        elif kind := _RAISED.match(line):
            lines.append(kind[1])
    return "\n".join(lines)


_CHANGES = {
    "args": _positional, "kwargs": _named, "result": _outcome, "exception": _kind,
    "traceback": _frames,
}  # fmt: skip
