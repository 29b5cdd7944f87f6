"""Paths of a provider that an app may ask for: none of them leaves the provider's origin."""

from __future__ import annotations

from sisgate.errors import UsageError

_ENCODED = ("%00", "%0a", "%0d", "%2e%2e", "%2e.", ".%2e", "%2f%2f", "%5c")


def usable_path(path: str) -> str:
    """Return the path; `UsageError` for one that could leave the endpoint's origin or base.

    >>> usable_path("/ws/v1/school/5")
    '/ws/v1/school/5'
    """
    lowered = path.lower()
    bad = (
        not path.startswith("/")
        or path.startswith("//")
        or any(ord(c) < 33 or ord(c) == 127 or c in "\\?#" for c in path)
        or any(0xD800 <= ord(c) <= 0xDFFF for c in path)
        or any(code in lowered for code in _ENCODED)
        or any(part in {".", "..", "%2e"} for part in lowered.split("/"))
    )
    if bad:
        raise UsageError(
            "A path begins with one /, stays on the provider and carries no query of its own; "
            f"{path[:100]!r} does not."
        )
    return path
