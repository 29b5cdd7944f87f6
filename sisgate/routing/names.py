"""How a person names an endpoint: by its place or a part of its URL. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

_WAYS: tuple[Callable[[str], str], ...] = (
    lambda url: url,
    lambda url: url.partition("://")[2],
    lambda url: urlsplit(url).netloc,
    lambda url: urlsplit(url).hostname or "",
    lambda url: (urlsplit(url).hostname or "").split(".")[0],
    lambda url: url.rpartition("/")[2],
)


def endpoints_named(text: str, urls: Sequence[str]) -> list[str]:
    """Return the endpoints that a text may mean; of several ways to read it the first that fits.

    A number is the place in the configuration, from 1. Else it is the URL, the URL without its
    scheme, host and port, the host, the first label of the host, or the last part of the URL.

    >>> urls = ["https://sis-a.lincoln.test", "https://sis-b.lincoln.test/api"]
    >>> [endpoints_named(text, urls) for text in ("2", "sis-a", "SIS-B.lincoln.test", "sis-c")]
    [['https://sis-b.lincoln.test/api'], ['https://sis-a.lincoln.test'], \
['https://sis-b.lincoln.test/api'], []]
    """
    if text.isascii() and text.isdigit():
        place = int(text) - 1
        return [urls[place]] if 0 <= place < len(urls) else []
    wanted = text.rstrip("/").casefold()
    for way in _WAYS:
        if found := [url for url in urls if way(url).casefold() == wanted]:
            return found
    return []


def short_name(url: str) -> str:
    """Return an endpoint's URL without its scheme, as tables show it.

    >>> short_name("https://sis-a.lincoln.test/api")
    'sis-a.lincoln.test/api'
    """
    return url.partition("://")[2]
