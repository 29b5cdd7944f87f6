"""The kinds and variants that the contract suite runs, and a server for each made of its answers.

The answers in `answers/` are written by hand after the vendors' documented shapes.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sisgate.domain.records import Row
from sisgate.providers.dialect import Dialect, DialectOptions, Listing, Page, Position
from sisgate.providers.http import HttpRequest, HttpResponse
from sisgate.providers.kinds import DIALECTS

ORIGIN = "https://sis.example.org"
ANSWERS = Path(__file__).parent / "answers"
CAMPUS = "/campus/api/oneroster/v1p2/lincoln/ims/oneroster/rostering/v1p2"


@dataclass(frozen=True)
class Variant:
    """One way in which a kind is met. `answer_name` finds the file that answers a request."""

    name: str
    kind: str
    folder: str
    answer_name: Callable[[HttpRequest], str | None]
    options: DialectOptions = field(default_factory=DialectOptions)

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.kind](self.options)

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer a request, 404 where the variant does not know the path."""
        name = self.answer_name(request)
        url = ORIGIN + request.path
        if name is None:
            return HttpResponse(404, {}, b'{"message": "no such resource"}', url=url)
        held = json.loads((ANSWERS / self.folder / f"{name}.json").read_text())
        body = json.dumps(held["body"]).encode()
        return HttpResponse(200, held["headers"], body, url=url)


def _last_segment(request: HttpRequest) -> str:
    return request.path.rpartition("/")[2]


def _powerschool(request: HttpRequest, *, plugin: bool) -> str | None:
    last = _last_segment(request)
    if request.path.startswith("/ws/schema/query/"):
        return f"query_{last.rpartition('.')[2]}" if plugin else None
    if last == "student":
        demographics = "demographics" in dict(request.query).get("expansions", "")
        return "demographics" if demographics else "students"
    return {"school": "schools"}.get(last, last)


VARIANTS = [
    Variant("oneroster-1.2", "oneroster", "oneroster-1.2", _last_segment),
    Variant(
        "oneroster-1.1", "oneroster", "oneroster-1.1", _last_segment, DialectOptions(version="1.1")
    ),
    Variant(
        "infinite_campus",
        "infinite_campus",
        "infinite_campus",
        _last_segment,
        DialectOptions(base_path=CAMPUS),
    ),
    Variant("skyward-1.2", "skyward", "skyward-1.2", _last_segment),
    Variant("skyward-1.1", "skyward", "skyward-1.1", _last_segment, DialectOptions(version="1.1")),
    Variant(
        "powerschool-plugin",
        "powerschool",
        "powerschool",
        lambda request: _powerschool(request, plugin=True),
    ),
    Variant(
        "powerschool-plain",
        "powerschool",
        "powerschool",
        lambda request: _powerschool(request, plugin=False),
    ),
]
BY_NAME = {variant.name: variant for variant in VARIANTS}


def pages_of(variant: Variant, resource: str) -> Iterator[tuple[Listing, HttpResponse, Page]]:
    """Ask for the first page of every listing of a resource, those found on the way included."""
    dialect = variant.dialect
    waiting = dialect.plan(resource, since=None)
    while waiting:
        listing = waiting.pop(0)
        position = Position(size=listing.page_size)
        response = variant.answer(dialect.page_request(listing, position))
        if response.status != 200:
            instead = dialect.fallback(resource, listing, response.status)
            assert instead is not None, f"{listing.path} is refused"
            waiting += instead
            continue
        page = dialect.read_page(resource, listing, position, response)
        waiting += page.listings
        yield listing, response, page


def rows_of(variant: Variant, resource: str) -> list[Row]:
    """Return all records of a resource."""
    return [row for _, _, page in pages_of(variant, resource) for row in page.rows]


def data_of(variant: Variant, resource: str) -> dict[str, dict[str, Any]]:
    """Return the canonical data of a resource by sourcedId."""
    return {row.sourced_id: dict(row.data) for row in rows_of(variant, resource)}
