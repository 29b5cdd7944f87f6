"""What is wrong with the configuration, in plain language and with its place in the file."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from sisgate.domain.figures import duration
from sisgate.domain.validation import did_you_mean

_MESSAGES: Mapping[str, str] = {
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
"""By the type of pydantic's error; `{name}` is a part of its context."""

_SHAPES: Mapping[str, str] = {
    "int": "write a whole number",
    "float": "write a number",
    "finite": "write a number",
    "string": "write a text in quotes",
    "bool": "write true or false",
    "path": "write a path in quotes",
    "time_delta": 'write a duration: seconds, or a text such as "30m" or "P7D"',
    "time": "write a local time such as 08:00:00",
    "tuple": "write a list",
    "list": "write a list",
    "frozen_set": "write a list",
    "dict": "write a table",
    "model": "write a table",
}
"""By the prefix of the error's type, for values of the wrong type."""


def plain_message(kind: str, message: str, context: Mapping[str, Any]) -> str:
    """Return what is wrong in plain language, or else in pydantic's.

    >>> plain_message("missing", "Field required", {})
    'is missing'
    >>> plain_message("greater_than_equal", "Input should be …", {"ge": 1})
    'must be at least 1'
    >>> plain_message("less_than_equal", "Input should be …", {"le": "datetime.timedelta(days=3)"})
    'must be at most 3 d'
    >>> plain_message("time_delta_parsing", "Input should be …", {"error": "…"})
    'write a duration: seconds, or a text such as "30m" or "P7D"'
    >>> plain_message("value_error", "Value error, a base path begins with /", {})
    'a base path begins with /'
    """
    if kind in _MESSAGES:
        return _MESSAGES[kind].format(**{name: _shown(value) for name, value in context.items()})
    shape = next((hint for start, hint in _SHAPES.items() if kind.startswith(f"{start}_")), None)
    return shape or message.removeprefix("Value error, ")


def _shown(bound: Any) -> Any:
    """Return a bound for people. Pydantic tells of durations as Python writes them."""
    if isinstance(bound, int | float):
        return f"{bound:g}"
    written = re.fullmatch(r"datetime\.timedelta\((.*)\)", str(bound))
    if written is None:
        return bound
    parts = {name: int(value) for name, value in re.findall(r"(days|seconds)=(\d+)", written[1])}
    return duration(timedelta(**parts).total_seconds())


Place = tuple[str | int, ...]
"""The keys and indexes that lead to a value, outermost first."""

_PYDANTIC_STEPS = {"function-after", "tuple[Rate, ...]"}
"""What pydantic adds to a place besides keys."""

_HEADER = re.compile(r"^\s*(?P<open>\[{1,2})\s*(?P<path>[^\]]+?)\s*\]{1,2}")


def line_of(text: str, place: Sequence[str | int]) -> int:
    r"""Return the line (from 1) of the innermost part of `place` that is in the text.

    >>> line_of(
    ...     '[providers.a]\nkind = "x"\n[[providers.a.endpoints]]\nurl = 1\n',
    ...     ("providers", "a", "endpoints", 0, "url"),
    ... )
    4
    >>> line_of('[a]\nkind = "x"\n\n[[a.endpoints]]\nurl = 1\n', ("a", "endpoints"))
    4
    """
    parts = [str(part) for part in place]
    best_line, best_depth = 1, 0
    table: list[str] = []
    seen: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = [part.strip().strip("\"'") for part in header["path"].split(".")]
            if header["open"] == "[[":
                index = seen.get(tuple(table), -1) + 1
                seen[tuple(table)] = index
                table = [*table, str(index)]
            here = table
        elif "=" in line and not line.lstrip().startswith("#"):
            keys = [part.strip().strip("\"'") for part in line.split("=", 1)[0].split(".")]
            here = [*table, *keys]
        else:
            continue
        # `[[providers.a.endpoints]]` also starts the list of endpoints.
        here = here[: len(parts)]
        if len(here) > best_depth and here == parts[: len(here)]:
            best_line, best_depth = number, len(here)
    return best_line


@dataclass(frozen=True)
class ConfigSource:
    """A configuration file and its text, for messages that name a place in it.

    Without a path the configuration is what `name` says.
    """

    path: Path | None = None
    text: str = ""
    name: str = "environment"

    def problem(self, place: Place, what: str) -> str:
        """Return a problem prefixed with its place: `sisgate.toml:7: providers.lincoln.kind: …`."""
        names = [str(part) for part in place if part not in _PYDANTIC_STEPS]
        where = f"{self.path.name}:{line_of(self.text, place)}" if self.path else self.name
        return f"{where}: {'.'.join(names)}: {what}"

    def problems(
        self, error: ValidationError, model: type[BaseModel], table: Place = ()
    ) -> list[str]:
        """Return pydantic's problems with the `table` of a model."""
        items = error.errors(include_url=False, include_input=False)
        places = [item["loc"] for item in items]
        # "At least one item" for a list whose only item is wrong is misleading.
        return [
            self.problem(
                (*table, *loc),
                plain_message(item["type"], item["msg"], item.get("ctx", {}))
                + _nearest_setting(item["type"], loc, model),
            )
            for item, loc in zip(items, places, strict=True)
            if not any(len(other) > len(loc) and other[: len(loc)] == loc for other in places)
        ]


def in_file_order(problems: Iterable[str]) -> list[str]:
    """Return problems sorted by line; those of the environment come first."""

    def line(problem: str) -> int:
        match = re.match(r"[^:]*:(\d+):", problem)
        return int(match[1]) if match else 0

    return sorted(problems, key=line)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that suggests the nearest known name, or ''."""
    hint = did_you_mean(name, known)
    return f".{hint}" if hint else ""


def _nearest_setting(kind: str, place: Place, model: type[BaseModel]) -> str:
    """Return a suggestion for a setting that does not exist in its table; else ''."""
    if kind != "extra_forbidden":
        return ""
    table: type[BaseModel] | None = model
    for part in place[:-1]:
        if isinstance(part, int) or table is None or part not in table.model_fields:
            continue  # an index, or a name that the user chose
        table = _table_in(table.model_fields[part].annotation)
    return nearest(str(place[-1]), table.model_fields) if table else ""


def _table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((table for a in get_args(annotation) if (table := _table_in(a))), None)
