"""A PowerSchool server: its REST resources, token endpoint and PowerQueries over HTTP."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from sisgate.sandbox.district import District
from sisgate.sandbox.population.keys import Table
from sisgate.sandbox.powerschool.lists import KeyList, Lists, Searches
from sisgate.sandbox.powerschool.queries import MAX_PAGE_SIZE, PowerQueries, Record
from sisgate.sandbox.powerschool.rows import PowerSchoolRows, Row
from sisgate.sandbox.tokens import TokenState
from sisgate.sandbox.vendor import Refusal, VendorServer, json_reply, whole_number

_PAGED = (
    "student", "school", "section", "section_enrollment", "staff", "course", "term",
    "schema_table_query",
)  # fmt: skip


class PowerSchoolServer(VendorServer):
    """PowerSchool. Its token endpoint takes Basic only, and gives a client its token again."""

    token_path = "/oauth/access_token"
    token_paths = frozenset([token_path, f"{token_path}/"])
    oneroster_path = None
    token_type = "Bearer"
    has_scopes = False
    reuses_tokens = True

    def __init__(self, district: District) -> None:
        self._queries = PowerQueries(district.roster)
        self._searches = Searches(district.roster)
        self._lists = Lists(district.roster, PowerSchoolRows(district.roster))
        super().__init__(district)

    def routes(self) -> list[Route]:
        """Return the routes of `/ws`."""
        lists = self._lists
        finders: dict[str, Callable[..., KeyList]] = {
            "/ws/v1/district/school": lambda: lists.of_district("school"),
            "/ws/v1/district/student": lambda: lists.of_district("student"),
            "/ws/v1/school/{school_id}/{word}": lists.of_school,
            "/ws/v1/section/{section_id}/section_enrollment": lists.of_section,
        }
        routes = [
            Route("/ws/v1/metadata", self._metadata, methods=["GET"]),
            Route("/ws/v1/district", self._about_district, methods=["GET"]),
            Route("/ws/schema/query/{query}", self._query, methods=["POST"]),
            Route("/ws/schema/query/{query}/count", self._query_count, methods=["POST"]),
        ]
        for path, find in finders.items():
            routes.append(Route(path, self._page_of(find), methods=["GET"]))
            routes.append(Route(f"{path}/count", self._count_of(find), methods=["GET"]))
        routes.append(Route("/ws/v1/{word}/{row_id}", self._single, methods=["GET"]))
        return routes

    @property
    def expires_in_as_text(self) -> bool:
        """As text unless the knob says otherwise."""
        return self.district.knobs.token_expires_in_as_text is not False

    def public_id(self, table: str, key: int) -> int:
        """Return the id of a row: its key."""
        return key

    def authorize(self, scope: Scope) -> Response | None:
        """Answer with one of the two kinds of 401, or None."""
        authorization = Request(scope).headers.get("authorization", "")
        state = self.district.tokens.state(authorization)
        if state is not TokenState.VALID:
            reason = "has expired" if state is TokenState.EXPIRED else "is missing or unknown"
            reply = self.error(401, f"The access token {reason}")
            reply.headers["www-authenticate"] = (
                f'Bearer error="invalid_token",realm="PowerSchool",'
                f'error_description="The access token {reason}"'
            )
            return reply
        if any(word in scope["path"] for word in self.district.knobs.deny):
            message = "Plugin is missing required read permission for this resource"
            return json_reply({"errorMessage": {"message": message}}, 401)
        return None

    def error(self, status: int, message: str, code: str | None = None) -> Response:
        """Return an error in PowerSchool's shape."""
        detail = {"resource": "request", "field": "", "code": code or f"HTTP_{status}"}
        return json_reply({"message": message, "errors": [detail]}, status)

    async def _metadata(self, request: Request) -> Response:
        sizes = {f"{word}_max_page_size": self.district.page_cap for word in _PAGED}
        versions = {"powerschool_version": "24.7.0.0", "api_version": "v1"}
        return json_reply({"metadata": {**sizes, **versions}})

    async def _about_district(self, request: Request) -> Response:
        city = self.district.roster.pools.cities[0]
        about = {
            "uuid": f"00000000-0000-4000-8000-{self.district.spec.seed & 0xFFFFFFFFFFFF:012x}",
            "name": f"{city} Unified School District",
            "district_number": "0100",
        }
        return json_reply({"district": about})

    async def _single(self, request: Request) -> Response:
        listing = self._lists.single(**request.path_params)
        expansions = _expansions(request, listing.expansions)
        (row,) = (listing.row(key, expansions) for key in listing.between(0, 1))
        return json_reply({listing.word: _expandable(listing) | row})

    async def _listing(self, request: Request, find: Callable[..., KeyList]) -> KeyList:
        place = request.url.path.removesuffix("/count")
        whole = find(**request.path_params)
        return await self._searches.within(whole, request.query_params.get("q"), place)

    def _page_of(self, find: Callable[..., KeyList]) -> Callable[[Request], Any]:
        async def page(request: Request) -> Response:
            listing = await self._listing(request, find)
            expansions = _expansions(request, listing.expansions)
            first, size = self._place(request, self.district.page_cap)
            first, size, _ = self.district.window_of_list(first, size, listing.size)
            keys = listing.between(first, min(first + size, listing.size))
            rows: Any = [listing.row(key, expansions) for key in keys]
            body = _expandable(listing)
            knobs = self.district.knobs
            if len(rows) == 1 and knobs.single_row_object:
                rows = rows[0]
            if rows or knobs.empty_list == "list":
                body[listing.word] = rows
            # Of staff, too, clients read `staffs`.
            reply = json_reply({f"{listing.word}s": body})
            self.district.page_served(listing.word)
            return reply

        return page

    def _count_of(self, find: Callable[..., KeyList]) -> Callable[[Request], Any]:
        async def count(request: Request) -> Response:
            listing = await self._listing(request, find)
            _, _, total = self.district.window_of_list(0, 1, listing.size)
            return json_reply({"resource": {"count": total}})

        return count

    def _place(self, request: Request, cap: int) -> tuple[int, int]:
        """Return the first position and the size of the page that is asked for."""
        size = whole_number(request, "pagesize", cap, 1)
        if size > cap and self.district.knobs.over_cap == "refuse":
            raise Refusal(400, f"pagesize is at most {cap}", "INVALID_PAGE_SIZE")
        size = min(size, cap)
        return (whole_number(request, "page", 1, 1) - 1) * size, size

    def _query_table(self, request: Request) -> tuple[Table, Callable[[int], Record]]:
        name = request.path_params["query"]
        table = self._queries.tables.get(name) if self.district.knobs.plugin_installed else None
        if table is None:
            raise Refusal(404, f"Query not table: {name[:100]}", "NOT_FOUND")
        return table

    async def _query_count(self, request: Request) -> Response:
        table, _ = self._query_table(request)
        _, _, total = self.district.window_of_list(0, 1, len(table))
        return json_reply({"count": total})

    async def _query(self, request: Request) -> Response:
        name, knobs = request.path_params["query"], self.district.knobs
        table, record = self._query_table(request)
        if request.query_params.get("pagesize") == "0":
            first, size = 0, len(table)
        else:
            first, size = self._place(request, MAX_PAGE_SIZE)
            if "pagesize" not in request.query_params:
                size = min(size, self.district.page_cap)
                first = (whole_number(request, "page", 1, 1) - 1) * size
        first, size, total = self.district.window_of_list(first, size, len(table))
        records = [record(key) for key in table.between(first, first + size)]
        asked = request.query_params.get("count") == "true"
        counted = knobs.query_count == "always" or (knobs.query_count == "asked" and asked)
        body: Row = {"name": name, **({"count": total} if counted else {})}
        reply = json_reply({**body, "record": records})
        self.district.page_served(name.rpartition(".")[2])
        return reply


def _expandable(listing: KeyList) -> Row:
    return {"@expansions": ", ".join(listing.expansions)} if listing.expansions else {}


def _expansions(request: Request, known: tuple[str, ...]) -> frozenset[str]:
    """Return the expansions asked for; `Refusal` 400 for one that does not exist."""
    text = request.query_params.get("expansions", "")
    wanted = frozenset(word.strip() for word in text.split(",") if word.strip())
    if not wanted <= frozenset(known):
        raise Refusal(400, "expansions has a name that does not exist", "INVALID_EXPANSION")
    return wanted
