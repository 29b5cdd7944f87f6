"""Which headers may be passed on between an app and a provider. Pure."""

import re
from collections.abc import Iterable, Mapping

from sisgate.errors import UsageError

HOP_BY_HOP = frozenset(
    [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authentication-info",
        "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    ]
)  # fmt: skip
"""Headers of one connection (RFC 9110, 7.6.1); `Connection` may name more of them."""

CREDENTIALS = frozenset(["authorization", "cookie", "set-cookie", "www-authenticate"])
"""Headers that identify a caller to the app, or the app to the provider."""

FRAMING = frozenset(
    ["content-encoding", "content-length", "expect", "forwarded", "host", "http2-settings", "via"]
)
"""Headers that whoever sends a message writes itself."""

MOST_BYTES = 8192
"""The most that the headers of one request may have together."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e\xa0-\xff](?:[\t\x20-\x7e\xa0-\xff]*[\x21-\x7e\xa0-\xff])?")


def named_in_connection(values: Iterable[str]) -> frozenset[str]:
    """Return the headers that `Connection` declares to be of this connection only.

    >>> sorted(named_in_connection(["close, X-Debug", "Keep-Alive"]))
    ['close', 'keep-alive', 'x-debug']
    """
    return frozenset(
        name for value in values for each in value.split(",") if (name := each.strip().lower())
    )


def is_passed_on(name: str) -> bool:
    """Return whether a header may be passed on at all; `name` is lower case.

    >>> is_passed_on("accept"), is_passed_on("cookie"), is_passed_on("x-forwarded-for")
    (True, False, False)
    """
    return not (
        name in HOP_BY_HOP | CREDENTIALS | FRAMING
        or name.startswith(("proxy-", "sec-", "x-forwarded-", "x-real-", "x-sis-"))
    )


def usable_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return the headers for a request to a provider, names in lower case; `UsageError` otherwise.

    >>> usable_headers({"Accept": "text/csv"})
    {'accept': 'text/csv'}
    """
    usable: dict[str, str] = {}
    for name, value in (headers or {}).items():
        lower = str(name).lower()
        if not _NAME.fullmatch(lower) or not is_passed_on(lower):
            raise UsageError(
                f"The header {str(name)[:60]!r} cannot be sent to a provider: sisgate writes the "
                "headers of the connection and the credentials itself."
            )
        if not _VALUE.fullmatch(str(value)):
            raise UsageError(f"The header {lower!r} has a value that cannot be sent.")
        if lower in usable:
            raise UsageError(f"The header {lower!r} is given twice.")
        usable[lower] = str(value)
    if sum(len(name) + len(value) + 4 for name, value in usable.items()) > MOST_BYTES:
        raise UsageError(f"The headers have more than {MOST_BYTES} bytes together.")
    return usable
