"""Which of a provider's endpoints serve a path, and which one a name refers to. Pure."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from urllib.parse import urlsplit

from sisgate.settings import Endpoint, PathRule

KIND_RULES: Mapping[str, tuple[PathRule, ...]] = MappingProxyType(
    {
        "powerschool": (
            PathRule(pattern="/ws/schema/query/*", group="powerquery"),
            PathRule(pattern="/ws/schema/table/*", group="table"),
        )
    }
)
"""Default rules by kind, after a provider's own. Groups without endpoints have no effect."""

_WAYS: tuple[Callable[[str], str], ...] = (
    lambda url: url,
    lambda url: url.partition("://")[2],
    lambda url: urlsplit(url).netloc,
    lambda url: urlsplit(url).hostname or "",
    lambda url: (urlsplit(url).hostname or "").split(".")[0],
    lambda url: url.rpartition("/")[2],
)


def rules_of(kind: str, own: Sequence[PathRule]) -> tuple[PathRule, ...]:
    """Return a provider's rules: its own, then those of its kind."""
    return (*own, *KIND_RULES.get(kind, ()))


def group_of(path: str, rules: Sequence[PathRule]) -> str | None:
    """Return the group of the first rule that matches a path, None if none does.

    >>> rules = [PathRule(pattern="/ws/schema/query/*", group="powerquery")]
    >>> group_of("/ws/schema/query/org.example.students", rules)
    'powerquery'
    """
    return next((rule.group for rule in rules if fnmatchcase(path, rule.pattern)), None)


def members(path: str, endpoints: Sequence[Endpoint], rules: Sequence[PathRule]) -> list[Endpoint]:
    """Return the endpoints that may serve a path, never none.

    The rule of a group without endpoints is ignored. A path without a group goes to the endpoints
    without one, or to all if each has one.
    """
    served = {endpoint.group for endpoint in endpoints}
    group = group_of(path, [rule for rule in rules if rule.group in served])
    return [e for e in endpoints if e.group == group] or list(endpoints)


def endpoints_named(text: str, urls: Sequence[str]) -> list[str]:
    """Return the endpoints that a text may mean, by the first reading that matches any.

    A number is the position in the configuration, from 1. Otherwise it is the URL, the URL without
    its scheme, host and port, the host, the first label of the host, or the last part of the URL.

    >>> urls = ["https://sis-a.lincoln.test", "https://sis-b.lincoln.test/api"]
    >>> [endpoints_named(text, urls) for text in ("2", "sis-a", "SIS-B.lincoln.test", "sis-c")]
    [['https://sis-b.lincoln.test/api'], ['https://sis-a.lincoln.test'], \
['https://sis-b.lincoln.test/api'], []]
    """
    if text.isascii() and text.isdigit():
        place = int(text) - 1
        return [urls[place]] if 0 <= place < len(urls) else []
    name = text.rstrip("/").casefold()
    for way in _WAYS:
        if matches := [url for url in urls if way(url).casefold() == name]:
            return matches
    return []


def short_name(url: str) -> str:
    """Return an endpoint's URL without its scheme, as tables show it.

    >>> short_name("https://sis-a.lincoln.test/api")
    'sis-a.lincoln.test/api'
    """
    return url.partition("://")[2]
