"""Pydantic's findings in plain words, for people who write TOML and not Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not a setting",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be below {lt}",
    "too_short": "needs at least {min_length}",
    "string_too_long": "has at most {max_length} characters",
    "literal_error": "must be {expected}",
}
"""By the type of the finding; `{name}` is a part of its context."""

_SHAPES: Mapping[str, str] = {
    "int": "write a whole number",
    "float": "write a number",
    "finite": "write a number",
    "string": "write a text in quotes",
    "bool": "write true or false",
    "path": "write a path in quotes",
    "time_delta": 'write a duration: seconds, or a text such as "PT30M" or "P7D"',
    "time": "write a local time such as 08:00:00",
    "tuple": "write a list",
    "list": "write a list",
    "frozen_set": "write a list",
    "dict": "write a table",
    "model": "write a table",
}
"""By the beginning of the type, for values of the wrong type."""


def plain_words(kind: str, message: str, context: Mapping[str, Any]) -> str:
    """Return a finding in plain words; one that is not known as pydantic says it.

    >>> plain_words("missing", "Field required", {})
    'is missing'
    >>> plain_words("greater_than_equal", "Input should be …", {"ge": 1})
    'must be at least 1'
    >>> plain_words("greater_than_equal", "Input should be …", {"ge": "1 hour"})
    'must be at least 1 hour'
    >>> plain_words("time_delta_parsing", "Input should be …", {"error": "…"})
    'write a duration: seconds, or a text such as "PT30M" or "P7D"'
    >>> plain_words("value_error", "Value error, a base path begins with /", {})
    'a base path begins with /'
    """
    if kind in _WORDS:
        # A bound is a number, or a length of time in words.
        told = {k: f"{v:g}" if isinstance(v, int | float) else v for k, v in context.items()}
        return _WORDS[kind].format(**told)
    shape = next((words for start, words in _SHAPES.items() if kind.startswith(f"{start}_")), None)
    return shape or message.removeprefix("Value error, ")
