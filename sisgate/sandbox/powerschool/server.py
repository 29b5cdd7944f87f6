"""A PowerSchool server: its REST resources, token endpoint and PowerQueries over HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from sisgate.sandbox.district import District
from sisgate.sandbox.population.keys import Table
from sisgate.sandbox.population.layout import COURSES_PER_LEVEL
from sisgate.sandbox.powerschool.queries import MAX_PAGE_SIZE, PowerQueries
from sisgate.sandbox.powerschool.rows import (
    SCHOOL_EXPANSIONS,
    SECTION_EXPANSIONS,
    STAFF_EXPANSIONS,
    STUDENT_EXPANSIONS,
    PowerSchoolRows,
    Row,
    term_dcid,
)
from sisgate.sandbox.powerschool.tokens import issue_token
from sisgate.sandbox.replies import Refusal, json_reply, whole_number
from sisgate.sandbox.tokens import TokenState

_STATUS_QUERY = re.compile(r"school_enrollment\.enroll_status==\(?'?([A-Z])'?\)?")
_PAGED = ("student", "school", "section", "section_enrollment", "staff", "course", "term")


class Listing(NamedTuple):
    """A list of keys: how many, those between two positions, and how to make a row of one."""

    word: str
    expansions: tuple[str, ...]
    size: int
    between: Callable[[int, int], Iterable[int]]
    row: Callable[[int, frozenset[str]], Row]


class PowerSchoolServer:
    """The `Dialect` of PowerSchool."""

    token_paths = frozenset(["/oauth/access_token"])
    token_path = "/oauth/access_token"
    oneroster_path = None

    def __init__(self, district: District) -> None:
        self._district = district
        self._rows = PowerSchoolRows(district.roster)
        self._queries = PowerQueries(district.roster)
        lists: list[tuple[str, Callable[[Request], Listing]]] = [
            ("/ws/v1/district/school", self._schools),
            ("/ws/v1/district/student", self._students),
            ("/ws/v1/school/{school_id}/{resource}", self._of_school),
            ("/ws/v1/section/{section_id}/section_enrollment", self._of_section),
        ]
        routes = [
            Route("/ws/v1/metadata", self._metadata, methods=["GET"]),
            Route("/ws/v1/district", self._about_district, methods=["GET"]),
            Route("/ws/v1/student/{student_id}", self._student, methods=["GET"]),
            Route("/ws/schema/query/{query}", self._query, methods=["POST"]),
        ]
        for path, find in lists:
            routes.append(Route(path, self._page_of(find), methods=["GET"]))
            routes.append(Route(f"{path}/count", self._count_of(find), methods=["GET"]))
        self.app = Starlette(
            routes=routes, exception_handlers={HTTPException: self._http, Refusal: self._refusal}
        )

    async def token(self, scope: Scope, receive: Any) -> Response:
        """Answer a token request."""
        return await issue_token(self._district, Request(scope, receive), self)

    def public_id(self, table: str, key: int) -> int:
        """Return the id of a row: its key."""
        return key

    def authorize(self, scope: Scope) -> Response | None:
        """Answer with one of the two kinds of 401, or None."""
        authorization = Request(scope).headers.get("authorization", "")
        state = self._district.tokens.state(authorization)
        if state is not TokenState.VALID:
            reason = "has expired" if state is TokenState.EXPIRED else "is missing or unknown"
            reply = self.error(401, f"The access token {reason}")
            reply.headers["www-authenticate"] = (
                f'Bearer error="invalid_token",realm="PowerSchool",'
                f'error_description="The access token {reason}"'
            )
            return reply
        if any(word in scope["path"] for word in self._district.knobs.deny):
            message = "Plugin is missing required read permission for this resource"
            return json_reply({"errorMessage": {"message": message}}, 401)
        return None

    def error(self, status: int, message: str, code: str | None = None) -> Response:
        """Return an error in PowerSchool's shape."""
        detail = {"resource": "request", "field": "", "code": code or f"HTTP_{status}"}
        return json_reply({"message": message, "errors": [detail]}, status)

    async def _http(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self.error(status, "There is no such resource or method here.")

    async def _refusal(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, Refusal):
            raise error
        return self.error(error.status, error.message, error.code)

    async def _metadata(self, request: Request) -> Response:
        sizes = {f"{word}_max_page_size": self._district.page_cap for word in _PAGED}
        versions = {"powerschool_version": "24.7.0.0", "api_version": "v1"}
        return json_reply({"metadata": {**sizes, **versions}})

    async def _about_district(self, request: Request) -> Response:
        city = self._district.roster.pools.cities[0]
        about = {
            "uuid": f"00000000-0000-4000-8000-{self._district.spec.seed & 0xFFFFFFFFFFFF:012x}",
            "name": f"{city} Unified School District",
            "district_number": "0100",
        }
        return json_reply({"district": about})

    async def _student(self, request: Request) -> Response:
        key = _id(request, "student_id", self._district.roster.students)
        expansions = _expansions(request, STUDENT_EXPANSIONS)
        row = {"@expansions": ", ".join(STUDENT_EXPANSIONS), **self._rows.student(key, expansions)}
        return json_reply({"student": row})

    def _schools(self, request: Request) -> Listing:
        table = self._district.roster.schools
        return Listing("school", SCHOOL_EXPANSIONS, len(table), table.between, self._rows.school)

    def _students(self, request: Request) -> Listing:
        return _enrolled(request, self._district.roster.students, self._rows.student)

    def _of_school(self, request: Request) -> Listing:
        """Return the list below a school: every table holds a school's rows in one stretch."""
        roster, rows = self._district.roster, self._rows
        key = _id(request, "school_id", roster.schools)
        school = roster.layout.schools[(key >> 3) - 1]
        word = request.path_params["resource"]
        students = (school.first_student, school.students, 8)
        teachers = (school.first_teacher, school.teachers, 8)
        sections = (school.first_cohort, school.cohorts, 16)
        courses = (school.level * COURSES_PER_LEVEL, COURSES_PER_LEVEL, 8)
        stretches = {
            "student": (STUDENT_EXPANSIONS, roster.students, students, rows.student),
            "staff": (STAFF_EXPANSIONS, roster.teachers, teachers, rows.staff),
            "section": (SECTION_EXPANSIONS, roster.classes, sections, rows.section),
            "course": ((), roster.course_table, courses, rows.course),
        }
        if word in stretches:
            expansions, table, (first, count, stride), row = stretches[word]
            start, stop = table.span((first + 1) * stride, (first + count + 1) * stride)
            return Listing(
                word,
                expansions,
                stop - start,
                lambda a, b: table.between(start + a, start + b),
                row,
            )
        if word == "term":
            return _fixed(word, [term_dcid(school.number, n) for n in range(3)], rows.term)
        raise Refusal(404, "There is no such resource.", "NOT_FOUND")

    def _of_section(self, request: Request) -> Listing:
        roster = self._district.roster
        key = _id(request, "section_id", roster.classes)
        return _fixed("section_enrollment", roster.enrollments_of_class(key), self._rows.enrollment)

    def _page_of(self, find: Callable[[Request], Listing]) -> Callable[[Request], Any]:
        async def page(request: Request) -> Response:
            listing = find(request)
            expansions = _expansions(request, listing.expansions)
            first, size = self._place(request, self._district.page_cap)
            first, size, _ = self._district.window_of_list(first, size, listing.size)
            keys = listing.between(first, min(first + size, listing.size))
            rows: Any = [listing.row(key, expansions) for key in keys]
            body: Row = {"@expansions": ", ".join(listing.expansions)} if listing.expansions else {}
            knobs = self._district.knobs
            if len(rows) == 1 and knobs.single_row_object:
                rows = rows[0]
            if rows or knobs.empty_list == "list":
                body[listing.word] = rows
            reply = json_reply({_plural(listing.word): body})
            self._district.page_served(listing.word)
            return reply

        return page

    def _count_of(self, find: Callable[[Request], Listing]) -> Callable[[Request], Any]:
        async def count(request: Request) -> Response:
            _, _, total = self._district.window_of_list(0, 1, find(request).size)
            return json_reply({"resource": {"count": total}})

        return count

    def _place(self, request: Request, cap: int) -> tuple[int, int]:
        """Return the first position and the size of the page that is asked for."""
        size = whole_number(request, "pagesize", cap, 1)
        if size > cap and self._district.knobs.over_cap == "refuse":
            raise Refusal(400, f"pagesize is at most {cap}", "INVALID_PAGE_SIZE")
        size = min(size, cap)
        return (whole_number(request, "page", 1, 1) - 1) * size, size

    async def _query(self, request: Request) -> Response:
        name, knobs = request.path_params["query"], self._district.knobs
        found = self._queries.tables.get(name) if knobs.plugin_installed else None
        if found is None:
            raise Refusal(404, f"Query not found: {name[:100]}", "NOT_FOUND")
        table, record = found
        if request.query_params.get("pagesize") == "0":
            first, size = 0, len(table)
        else:
            first, size = self._place(request, MAX_PAGE_SIZE)
            if "pagesize" not in request.query_params:
                size = min(size, self._district.page_cap)
                first = (whole_number(request, "page", 1, 1) - 1) * size
        first, size, total = self._district.window_of_list(first, size, len(table))
        records = [record(key) for key in table.between(first, first + size)]
        asked = request.query_params.get("count") == "true"
        counted = knobs.query_count == "always" or (knobs.query_count == "asked" and asked)
        body: Row = {"name": name, **({"count": total} if counted else {})}
        reply = json_reply({**body, "record": records})
        self._district.page_served(name.rpartition(".")[2])
        return reply


def _plural(word: str) -> str:
    return word if word == "staff" else f"{word}s"


def _fixed(word: str, keys: list[int], row: Callable[[int, frozenset[str]], Row]) -> Listing:
    return Listing(word, (), len(keys), lambda a, b: keys[a:b], row)


def _enrolled(request: Request, table: Table, row: Callable[[int, frozenset[str]], Row]) -> Listing:
    """Return the district's students, or by `q` those of one enrollment status."""
    query = request.query_params.get("q")
    found = _STATUS_QUERY.fullmatch(query) if query else None
    if query and found is None:
        raise Refusal(400, "q asks for what this server cannot search by", "INVALID_QUERY")
    if found is None or (found[1] == "A" and not table.marked):
        return Listing("student", STUDENT_EXPANSIONS, len(table), table.between, row)
    left = {"A": False, "T": True}.get(found[1])
    keys = [key for key in table.between(0, len(table)) if (key in table.marked) is left]
    return _fixed("student", keys, row)._replace(expansions=STUDENT_EXPANSIONS)


def _id(request: Request, name: str, table: Table) -> int:
    """Return the id in the path if the table has it; `Refusal` 404 otherwise."""
    text = request.path_params[name]
    if len(text) <= 18 and text.isascii() and text.isdigit() and int(text) in table:
        return int(text)
    raise Refusal(404, "There is no row with this id.", "NOT_FOUND")


def _expansions(request: Request, known: tuple[str, ...]) -> frozenset[str]:
    """Return the expansions asked for; `Refusal` 400 for one that does not exist."""
    text = request.query_params.get("expansions", "")
    wanted = frozenset(word.strip() for word in text.split(",") if word.strip())
    if not wanted <= frozenset(known):
        raise Refusal(400, "expansions has a name that does not exist", "INVALID_EXPANSION")
    return wanted
