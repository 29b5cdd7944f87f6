"""Paths of a provider that an app may ask for: none of them leaves the endpoint's base path."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote_to_bytes

from sisgate.errors import UsageError

MOST_DECODINGS = 5
"""How often a path is decoded; one that could be decoded once more is refused."""

_NOT_STANDARD = re.compile(r"%u[0-9a-f]{4}", re.IGNORECASE)
"""IIS's own escapes."""

_ENDS_OF_NAME = re.compile("[;?#]")
"""Where servers cut what stands in a segment: path parameters, and a query that was encoded."""


def usable_path(path: str) -> str:
    r"""Return the path; `UsageError` for one that could leave the endpoint's origin or base path.

    Servers, and proxies before them, differ in how often they decode a path, and some cut path
    parameters (`..;`), take `\` for `/`, or normalise Unicode. So no reading may have a segment
    that is empty or of dots only. What cannot be read as UTF-8 is refused: overlong forms of a dot
    are such.

    >>> usable_path("/ws/v1/school/5"), usable_path("/ws/v1/a%2Fb")
    ('/ws/v1/school/5', '/ws/v1/a%2Fb')
    """
    if not (_is_written_well(path) and _stays(path)):
        raise UsageError(
            "A path begins with one /, stays below the provider's base path however often it is "
            f"decoded, and carries no query of its own; {path[:100]!r} does not."
        )
    return path


def _is_written_well(path: str) -> bool:
    return path.startswith("/") and not any(
        ord(c) < 33 or c in "?#" or 0xD800 <= ord(c) <= 0xDFFF for c in path
    )


def _stays(path: str) -> bool:
    """Whether no reading of a path leaves the place that it is put below."""
    for _ in range(MOST_DECODINGS):
        path = unicodedata.normalize("NFKC", path)
        if not _is_plain(path):
            return False
        try:
            decoded = unquote_to_bytes(path).decode()
        except UnicodeDecodeError:
            return False
        if decoded == path:
            return True
        path = decoded
    return False


def _is_plain(path: str) -> bool:
    if _NOT_STANDARD.search(path):
        return False
    if any(unicodedata.category(c) == "Cc" or c == "\\" for c in path):
        return False
    *inner, last = path.split("/")[1:]
    return all(map(_is_name, inner)) and (not last or _is_name(last))


def _is_name(segment: str) -> bool:
    """Whether a segment has a name, not only dots and blanks, which some file systems drop."""
    return bool(_ENDS_OF_NAME.split(segment)[0].strip(". "))
