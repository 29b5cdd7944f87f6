"""PowerSchool SIS: its REST resources, and two PowerQueries where the district has our plugin.

`/ws/v1` lists sections by school and enrollments by section, which for a district of 40,000
students is thousands of calls. The plugin (`powerschool_plugin`) brings two PowerQueries that give
both in pages of 1000. A district without it is read the slow way (`fallback`): schools lead
to sections and sections to enrollments. Both ways give the same records.

Sizes of pages: a server's greatest size is also its default, so none is asked for and
`/ws/v1/metadata` need not be read. PowerSchool cannot filter by time here, so `since` is ignored.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sisgate.domain.records import ROSTER, Row
from sisgate.errors import UnknownResource
from sisgate.providers.dialect import Dialect, Listing, Page, Position
from sisgate.providers.http import HttpRequest, HttpResponse
from sisgate.providers.paging import Note, read_rows
from sisgate.providers.powerschool_mapping import record_of
from sisgate.providers.powerschool_plugin import ENROLLMENTS_QUERY, SECTIONS_QUERY
from sisgate.providers.powerschool_wire import dcid, query_rows, read_number, rest_rows
from sisgate.providers.refusals import not_in_dialect, read_body

_QUERY_PATH = "/ws/schema/query/"
_QUERY_PAGE_SIZE = 1000
_STUDENT_EXPANSIONS = {
    "students": "school_enrollment,contact_info,phones",
    "demographics": "demographics,ethnicity_race",
}
_STAFF_EXPANSIONS = ("expansions", "emails,phones,school_affiliations")
_ENROLLED = ("q", "school_enrollment.enroll_status==A")
"""Without it a server gives every student it ever had."""

_BY_SCHOOL = {"terms": ["term"], "courses": ["course"], "teachers": ["staff"]}
_BY_QUERY = {"classes": SECTIONS_QUERY, "enrollments": ENROLLMENTS_QUERY}
_SLOW_WAY = {"classes": ["section"], "enrollments": ["section", "section_enrollment"]}
"""Which lists to go through, school by school, to come to a resource."""


class PowerSchool(Dialect):
    """PowerSchool SIS. Option: `page_size`, which must not be above the server's own maximum."""

    kind = "powerschool"
    resources = ROSTER
    default_limit = "1000/h"
    default_auth = "oauth2-basic"

    def token_path(self) -> str | None:
        """The token endpoint of every PowerSchool server."""
        return "/oauth/access_token"

    def plan(self, resource: str, *, since: datetime | None) -> list[Listing]:
        """Return the district's lists, a PowerQuery, or the schools that lead to their lists."""
        if resource not in self.resources:
            raise UnknownResource(f"The kind {self.kind} offers no {resource}.", resource=resource)
        if resource == "orgs":
            context = {"row": "district"}
            district = Listing("district", "/ws/v1/district", paging="single", context=context)
            return [district, self._list("schools", "/ws/v1/district/school", {"row": "school"})]
        if resource in _BY_QUERY:
            return [self._query(resource)]
        if resource in _BY_SCHOOL:
            return [self._schools(_BY_SCHOOL[resource])]
        query = (("expansions", _STUDENT_EXPANSIONS[resource]), _ENROLLED)
        return [self._list(resource, "/ws/v1/district/student", {"row": "student"}, query)]

    def fallback(self, resource: str, listing: Listing, status: int) -> list[Listing] | None:
        """Without the plugin a PowerQuery is unknown (404) or its fields are not granted (403)."""
        if status in (403, 404) and listing.path.startswith(_QUERY_PATH):
            return [self._schools(_SLOW_WAY[resource])]
        return None

    def page_request(self, listing: Listing, position: Position) -> HttpRequest:
        """`page` from 1 and, where a size is set, `pagesize`.

        The first page of a PowerQuery is asked for the count of all rows as well, which saves a
        call for it; servers before 9.1 leave it out.
        """
        if listing.paging == "single":
            return HttpRequest(listing.path, listing.query)
        size = position.size or listing.page_size
        paging = (("page", str(position.page)), *((("pagesize", str(size)),) if size else ()))
        counted = listing.method == "POST" and position.page == 1
        count = (("count", "true"),) if counted else ()
        query = (*listing.query, *paging, *count)
        return HttpRequest(listing.path, query, listing.method, listing.json_body)

    def count_request(self, listing: Listing) -> HttpRequest | None:
        """Only what selects rows goes to a count resource, not what shapes them."""
        if listing.counted_by is None:
            return None
        return HttpRequest(
            listing.counted_by, tuple(each for each in listing.query if each[0] == "q")
        )

    def read_count(self, listing: Listing, response: HttpResponse) -> int:
        """`{"resource": {"count": 7}}`, or the count alone."""
        body = read_body(response)
        held = body.get("resource", body) if isinstance(body, dict) else None
        if not isinstance(held, dict) or "count" not in held:
            raise not_in_dialect(response, "with a body that holds no count")
        return read_number(held.get("count"))

    def read_page(
        self, resource: str, listing: Listing, position: Position, response: HttpResponse
    ) -> Page:
        """Return the rows as records or, in a discovering listing, as the listings they lead to."""
        body, total = read_body(response), None
        singular = listing.context["row"]
        if singular == "district":
            return _district_page(resource, listing, response, body)
        if listing.path.startswith(_QUERY_PATH):
            received = query_rows(body)
            if received is None:
                raise not_in_dialect(response, "with a body that is not that of a PowerQuery")
            total = None if body.get("count") is None else read_number(body["count"])
        else:
            received = rest_rows(body, singular)
            if received is None:
                raise not_in_dialect(response, f"with a body that holds no list of {singular}")
        next_lists: list[Listing] = []

        def read(row: Any, _note: Note) -> tuple[str, Row | None]:
            row_id = dcid(row)
            if listing.discovers:
                next_lists.append(self._next(listing, row_id))
                return row_id, None
            return row_id, record_of(resource, row, listing.context)

        page = read_rows(received, position.start, read)
        return Page(
            rows=page.rows,
            received=len(received),
            ids=page.ids,
            total=total,
            listings=next_lists,
            flaws=page.flaws,
        )

    def probe_request(self) -> HttpRequest:
        """The district. `/ws/v1/metadata` is open to everybody and would prove nothing."""
        return HttpRequest("/ws/v1/district")

    def _list(
        self,
        name: str,
        path: str,
        context: Mapping[str, Any],
        query: tuple[tuple[str, str], ...] = (),
    ) -> Listing:
        """One list of `/ws/v1`. `context["next"]` are the lists that its rows lead to, if any."""
        return Listing(
            name=name,
            path=path,
            query=query,
            paging="page",
            page_size=self.options.page_size,
            counted_by=f"{path}/count",
            context=context,
            discovers=bool(context.get("next")),
        )

    def _query(self, resource: str) -> Listing:
        return Listing(
            name=resource,
            path=f"{_QUERY_PATH}{_BY_QUERY[resource]}",
            method="POST",
            json_body={},
            paging="page",
            page_size=self.options.page_size or _QUERY_PAGE_SIZE,
            context={"row": "record"},
        )

    def _schools(self, lists: list[str]) -> Listing:
        """The schools, each of which leads to the first of `lists`, and so on to the last."""
        context = {"row": "school", "next": lists}
        return self._list("schools", "/ws/v1/district/school", context)

    def _next(self, listing: Listing, row_id: str) -> Listing:
        """The list that a row of a discovering listing leads to."""
        parent = listing.context["row"]
        child, *further = listing.context["next"]
        context = {**listing.context, parent: row_id, "row": child, "next": further}
        query = (_STAFF_EXPANSIONS,) if child == "staff" else ()
        return self._list(
            f"{parent}-{row_id}:{child}", f"/ws/v1/{parent}/{row_id}/{child}", context, query
        )


def _district_page(resource: str, listing: Listing, response: HttpResponse, body: Any) -> Page:
    """The district is one object without an id."""
    district = body.get("district") if isinstance(body, dict) else None
    record = record_of(resource, district, listing.context) if isinstance(district, dict) else None
    if record is None:
        raise not_in_dialect(response, "with a body that holds no district")
    return Page(rows=[record], received=1, ids=[record.sourced_id], total=1, more=False)
