"""Every kind: page by page to the end of a list, whatever the server tells of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from sisgate.errors import AnswerInvalid
from sisgate.providers.dialect import Dialect, DialectOptions, Listing, Page, Position
from sisgate.providers.http import HttpRequest, HttpResponse
from sisgate.providers.kinds import DIALECTS
from tests.contract.providers.variants import ORIGIN

ROWS = 23


@dataclass(frozen=True)
class Cut:
    """How a server cuts its list, and what it tells: `clamp` is the most it gives at once."""

    clamp: int = 1000
    total: bool = False
    link: str | None = None


def read_all(
    resource: str, dialect: Dialect, listing: Listing, answer: Callable[..., HttpResponse]
) -> list[str]:
    """Read a list as a reader would: by link, by total, by `more`, else until a page is empty."""
    ids: list[str] = []
    position: Position | None = Position(size=listing.page_size)
    for _ in range(ROWS + 2):
        if position is None:
            return ids
        request = dialect.page_request(listing, position)
        page = dialect.read_page(resource, listing, position, answer(request))
        ids += page.ids
        position = _after(position, page, len(ids))
    raise AssertionError("the list has no end")


def _after(position: Position, page: Page, read: int) -> Position | None:
    if page.more is False or page.received == 0 or page.total == read:
        return None
    if page.link:
        return replace(position, link=page.link)
    return replace(position, start=read, page=position.page + 1, link=None)


def oneroster_server(cut: Cut) -> Callable[[HttpRequest], HttpResponse]:
    """A OneRoster server of `ROWS` students behind `/base`."""

    def answer(request: HttpRequest) -> HttpResponse:
        query = dict(request.query)
        start = int(query.get("cursor") or query.get("offset", "0"))
        size = min(int(query.get("limit", "100")), cut.clamp)
        held = range(start, min(start + size, ROWS))
        headers = {"x-total-count": str(ROWS)} if cut.total else {}
        if cut.link:
            links = [f'<{ORIGIN}/base{request.path}?offset=0>; rel="first"']
            if start + size < ROWS:
                target = f"{request.path}?limit={size}&{cut.link}={start + size}"
                links.append(f'<{ORIGIN}/base{target}>; rel="next"')
            headers["link"] = ", ".join(links)
        body = {"users": [{"sourcedId": f"u{n:03d}"} for n in held]}
        url = f"{ORIGIN}/base{request.path}"
        return HttpResponse(200, headers, json.dumps(body).encode(), url=url)

    return answer


def powerschool_server(cut: Cut) -> Callable[[HttpRequest], HttpResponse]:
    """A PowerSchool server of `ROWS` students or of as many rows of a PowerQuery."""

    def answer(request: HttpRequest) -> HttpResponse:
        query = dict(request.query)
        size = min(int(query.get("pagesize", "100")), cut.clamp)
        start = (int(query["page"]) - 1) * size
        rows: list[dict[str, Any]] = [{"id": n + 1} for n in range(start, min(start + size, ROWS))]
        body: dict[str, Any] = {"students": {"student": rows[0] if len(rows) == 1 else rows}}
        if request.method == "POST":
            assert request.json_body == {}
            rows = [{"id": str(row["id"]), "section_id": "1", "student_id": "2"} for row in rows]
            body = {"name": "CC", "record": rows}
            if cut.total and query.get("count") == "true":
                body["count"] = ROWS
        return HttpResponse(200, {}, json.dumps(body).encode())

    return answer


CUTS = {
    "total": Cut(total=True),
    "nothing told": Cut(),
    "clamped": Cut(clamp=7),
    "clamped, total": Cut(clamp=7, total=True),
    "one at a time": Cut(clamp=1, total=True),
    "links with offsets": Cut(clamp=7, link="offset"),
    "links with a cursor": Cut(clamp=7, link="cursor"),
    "links and total": Cut(clamp=7, link="offset", total=True),
}


@pytest.mark.parametrize("kind", ["oneroster", "infinite_campus", "skyward"])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("size", [None, 5])
def test_every_oneroster_row_is_read_once(kind: str, cut: Cut, size: int | None) -> None:
    """With and without totals and links, clamped or not."""
    dialect = DIALECTS[kind](DialectOptions(page_size=size))
    (listing,) = dialect.plan("students", since=None)
    ids = read_all("students", dialect, listing, oneroster_server(cut))
    assert ids == [f"u{n:03d}" for n in range(ROWS)]


@pytest.mark.parametrize("resource", ["students", "enrollments"])
@pytest.mark.parametrize("clamp", [1, 7, 23, 100])
def test_every_powerschool_row_is_read_once(resource: str, clamp: int) -> None:
    """The server's own size of pages does not matter, and a PowerQuery may tell its count."""
    dialect = DIALECTS["powerschool"](DialectOptions())
    (listing,) = dialect.plan(resource, since=None)
    for total in (False, True):
        ids = read_all(resource, dialect, listing, powerschool_server(Cut(clamp, total)))
        assert ids == [str(n + 1) for n in range(ROWS)]


@pytest.mark.parametrize("kind", ["oneroster", "infinite_campus", "skyward"])
@pytest.mark.parametrize("text", ["", "-3", "many", "1.5", "²", "9" * 40])
def test_a_total_that_is_no_number_is_unknown(kind: str, text: str) -> None:
    """Garbage in X-Total-Count must neither fail a sync nor end it early."""
    dialect = DIALECTS[kind](DialectOptions())
    (listing,) = dialect.plan("students", since=None)
    response = HttpResponse(200, {"x-total-count": text}, b'{"users": []}')
    page = dialect.read_page("students", listing, Position(), response)
    assert (page.total, page.more, page.link) == (None, None, None)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example.org/base/x?cursor=1",
        "http://sis.example.org/base/x?cursor=1",
        "https://sis.example.org:8443/base/x?cursor=1",
        "https://sis.example.org@evil.example.org/base/x?cursor=1",
        "//evil.example.org/base/x?cursor=1",
        "/elsewhere/x?cursor=1",
        "/base/../admin?cursor=1",
        "/base/%2e%2e/admin?cursor=1",
        "/base//evil.example.org/x?cursor=1",
        "https://sis.example.org:port/base/x?cursor=1",
        "/base/x\\y?cursor=1",
        "javascript:alert(1)",
    ],
)
def test_a_link_never_leads_away(target: str) -> None:
    """A next link to another origin or out of the base URL is an invalid answer."""
    dialect = DIALECTS["oneroster"](DialectOptions())
    (listing,) = dialect.plan("students", since=None)
    response = HttpResponse(
        200,
        {"link": f'<{target}>; rel="next"'},
        b'{"users": [{"sourcedId": "a"}]}',
        url=f"{ORIGIN}/base{listing.path}",
    )
    with pytest.raises(AnswerInvalid):
        dialect.read_page("students", listing, Position(), response)
