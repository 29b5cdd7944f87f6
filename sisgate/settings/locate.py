"""Where in a TOML text a key stands, for error messages. tomllib keeps no positions."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\s*(?P<open>\[{1,2})\s*(?P<path>[^\]]+?)\s*\]{1,2}")


def line_of(text: str, place: Sequence[str | int]) -> int:
    r"""Return the line (from 1) of the innermost part of `place` that can be found.

    >>> line_of(
    ...     '[providers.a]\nkind = "x"\n[[providers.a.endpoints]]\nurl = 1\n',
    ...     ("providers", "a", "endpoints", 0, "url"),
    ... )
    4
    >>> line_of('[a]\nkind = "x"\n\n[[a.endpoints]]\nurl = 1\n', ("a", "endpoints"))
    4
    """
    wanted = [str(part) for part in place]
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
        # `[[providers.a.endpoints]]` is where the list of endpoints begins, too.
        here = here[: len(wanted)]
        if len(here) > best_depth and here == wanted[: len(here)]:
            best_line, best_depth = number, len(here)
    return best_line
