"""Reading a page: its rows, each by itself, and its `Link` header (RFC 8288)."""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urljoin, urlsplit

from sisgate.domain.records import Row
from sisgate.errors import AnswerInvalid
from sisgate.providers.dialect import Flaw
from sisgate.providers.http import HttpResponse

Note = Callable[[str, str], None]
"""Hears the name of a field that could not be used, and why."""


class RowUnusable(AnswerInvalid):
    """A row that is no record. `field` is the one that is wrong, None for the row as such."""

    def __init__(self, field: str | None, problem: str) -> None:
        super().__init__(f"{field or 'The row'} {problem}.")
        self.field = field
        self.problem = problem


@dataclass(frozen=True)
class RowsRead:
    """The records of a page, the ids of all its rows in their order, and what was wrong."""

    rows: list[Row]
    ids: list[str]
    flaws: list[Flaw]


def read_rows(
    received: Sequence[Any], start: int, read: Callable[[Any, Note], tuple[str, Row | None]]
) -> RowsRead:
    """Read the rows of a page whose first one is number `start` of its list, from 0.

    `read` gives a row's id and its record, None where the row is not one of the resource; it
    raises `RowUnusable`. A row without a usable id is known by a digest of what it says, so that
    pages can still be compared by their ids.
    """
    result = RowsRead([], [], [])
    for number, each in enumerate(received, start + 1):

        def note(field: str, problem: str, number: int = number) -> None:
            result.flaws.append(Flaw(number, field, problem, lost=False))

        try:
            row_id, row = read(each, note)
        except RowUnusable as unusable:
            result.flaws.append(Flaw(number, unusable.field, unusable.problem, lost=True))
            digest = hashlib.sha256(json.dumps(each, sort_keys=True).encode()).hexdigest()
            result.ids.append(f"row-{digest[:24]}")
            continue
        result.ids.append(row_id)
        if row is not None:
            result.rows.append(row)
    return result


_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_RELATION = re.compile(r";\s*rel\s*=\s*\"?([^\";,]*)", re.IGNORECASE)
_PAGING = {"first", "prev", "previous", "next", "last"}
_UNKNOWN_ORIGIN = "https://provider.invalid"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def read_links(header: str) -> dict[str, str]:
    """Return the targets by relation, lower case; the first one where a relation comes twice.

    >>> read_links('</a?offset=2>; rel="next", </a?offset=8>; rel=last')
    {'next': '/a?offset=2', 'last': '/a?offset=8'}
    """
    links: dict[str, str] = {}
    for target, parameters in _LINK.findall(header):
        relation = _RELATION.search(parameters)
        for name in relation[1].lower().split() if relation else []:
            links.setdefault(name, target.strip())
    return links


def next_link(response: HttpResponse) -> tuple[bool | None, str | None]:
    """Return whether another page follows, by the response's `Link` header, and its target.

    None where the header is missing or says nothing about paging.
    """
    links = read_links(response.headers.get("link", ""))
    if not links.keys() & _PAGING:
        return None, None
    return "next" in links, links.get("next")


def query_of(target: str) -> dict[str, str]:
    """Return the query parameters of a link."""
    return dict(parse_qsl(_split(target).query, keep_blank_values=True))


def local_link(
    target: str, *, asked_url: str, asked_path: str, aliases: Collection[str] = ()
) -> str:
    """Return a link's path and query as seen from the endpoint's base URL.

    `asked_url` is the absolute URL of the page that held the link (empty if unknown) and
    `asked_path` the requested path relative to the base URL. `aliases` are other origins that the
    server may use for itself, as behind a proxy: such links are requested from the endpoint, never
    from the alias. Raises `AnswerInvalid` if the link leads to another origin or out of the base
    URL.
    """
    relative = _split(target)
    if not asked_url and (relative.scheme or relative.netloc):
        raise _unusable("names an origin that cannot be checked")
    asked = _split(asked_url or _UNKNOWN_ORIGIN + asked_path)
    link = _split(urljoin(asked.geturl(), target))
    base = asked.path.removesuffix(asked_path)
    if _origin(link) != _origin(asked):
        if _origin(link) not in [_origin(_split(alias)) for alias in aliases]:
            raise _foreign(link)
        # A path prefix used outside the proxy may not exist inside.
        base = base if link.path.startswith(base + "/") else ""
    segments = [unquote(segment) for segment in link.path.split("/")]
    if not link.path.startswith(base + "/") or {".", ".."}.intersection(segments):
        raise _unusable("leads out of its base URL")
    path = link.path.removeprefix(base)
    if path.startswith("//"):
        raise _unusable("has no usable path")
    return f"{path}?{link.query}" if link.query else path


def _unusable(what: str) -> AnswerInvalid:
    return AnswerInvalid(f"The provider's link to the next page {what}.", is_final=True)


def _foreign(link: SplitResult) -> AnswerInvalid:
    user, _, place = link.netloc.rpartition("@")
    origin = f"{link.scheme}://{place}"
    message = f"The provider's link to the next page leads to another origin, {origin}."
    if not user and link.scheme in _DEFAULT_PORTS:
        message += (
            " It was not followed. If that is the name of the same server behind a proxy, set "
            f'link_origins = ["{origin}"] for the provider: such links are then read at the '
            "endpoint itself."
        )
    return AnswerInvalid(message, is_final=True, origin=origin)


def _split(target: str) -> SplitResult:
    try:
        parts = urlsplit(target)
        usable = (
            target.isascii() and target.isprintable() and not set(' \\"<>').intersection(target)
        )
        if usable and (parts.port is None or parts.port > 0):
            return parts
    except ValueError:
        pass
    raise _unusable("is not a URL")


def _origin(link: SplitResult) -> tuple[str, str, str | None, int | None]:
    """Scheme, user, host and port. A user name makes a link foreign: ours have none."""
    user, _, _ = link.netloc.rpartition("@")
    return link.scheme, user, link.hostname, link.port or _DEFAULT_PORTS.get(link.scheme)
