"""A OneRoster server: the resources over HTTP, in the shape and at the base of its vendor."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from sisgate.sandbox.district import District
from sisgate.sandbox.oneroster.filters import FilterExpression, parse_filter
from sisgate.sandbox.oneroster.oauth1 import OAuth1Verifier
from sisgate.sandbox.oneroster.resources import Resource, SortOrder, resources_of, select
from sisgate.sandbox.oneroster.rows import OneRosterRows, Row
from sisgate.sandbox.selection import Selections
from sisgate.sandbox.spec import AcceptedCredential
from sisgate.sandbox.tokens import TokenState
from sisgate.sandbox.vendor import Refusal, VendorServer, json_reply, whole_number

_CAMPUS = "/campus/api/oneroster/v1p2/{app}/ims/oneroster/rostering/v1p2"
CAMPUS_APP = "sisgate"
CORE_SCOPE = "roster-core.readonly"
_BASES = {
    ("infinite_campus", "1.2"): _CAMPUS,
    ("skyward", "1.2"): "/ims/oneroster/v1p2",
    ("skyward", "1.1"): "/api/ims/oneroster/v1p1",
    ("oneroster", "1.2"): "/ims/oneroster/rostering/v1p2",
    ("oneroster", "1.1"): "/ims/oneroster/v1p1",
}
_MINOR_OF_STATUS = {401: "unauthorisedrequest", 403: "forbidden", 404: "unknownobject",
                    429: "server_busy", 503: "server_busy"}  # fmt: skip


class OneRosterServer(VendorServer):
    """Infinite Campus, Skyward and the generic kind."""

    def __init__(self, district: District) -> None:
        self._shapes: dict[str, dict[str, Resource]] = {}
        self._rows: dict[str, OneRosterRows] = {}
        self._selections = Selections()
        self._oauth1 = OAuth1Verifier(district.tokens)
        if district.spec.kind == "skyward":
            # Skyward Qmlativ's token endpoint is a GET with the grant in the query.
            self.token_methods = ("POST", "GET")
        super().__init__(district)

    def routes(self) -> list[Route]:
        """Return the routes of every version that the kind speaks."""
        routes = []
        for (kind, version), base in _BASES.items():
            if kind == self.district.spec.kind:
                self._add_shape(version, base.replace("{app}", CAMPUS_APP))
                routes += self._routes(base, version)
        return routes

    def _add_shape(self, version: str, base: str) -> None:
        roster = self.district.roster
        self._rows[version] = OneRosterRows(roster, self.district.url + base, version)
        self._shapes[version] = resources_of(roster, self._rows[version])

    def _routes(self, base: str, version: str) -> list[Route]:
        async def listed(request: Request) -> Response:
            return await self._list(request, self._resource(request, version))

        async def single(request: Request) -> Response:
            return self._single(request, self._resource(request, version), version)

        return [
            Route(f"{base}/{{resource}}", listed, methods=["GET"]),
            Route(f"{base}/{{resource}}/{{sourced_id}}", single, methods=["GET"]),
        ]

    @property
    def _version(self) -> str:
        """Which shape is served: Infinite Campus speaks 1.2 only."""
        version = self.district.knobs.oneroster_version
        return version if version in self._shapes else "1.2"

    @property
    def token_path(self) -> str:
        """The token endpoint as clients are to ask it."""
        campus = self.district.spec.kind == "infinite_campus"
        return f"/campus/oauth2/token?appName={CAMPUS_APP}" if campus else "/oauth/token"

    @property
    def oneroster_path(self) -> str:
        """Base path of the resources in the version that is served."""
        return _BASES[self.district.spec.kind, self._version].replace("{app}", CAMPUS_APP)

    def token_problem(self, request: Request, fields: Mapping[str, str]) -> dict[str, str] | None:
        """Ask besides for Campus' app name, and by knob for a scope."""
        if "appName" not in request.query_params and self.district.spec.kind == "infinite_campus":
            return {"error": "invalid_request", "error_description": "appName is missing"}
        scopes = fields.get("scope", "").split()
        problem = super().token_problem(request, fields)
        if problem or not self.district.knobs.scope_required:
            return problem
        if any(scope.endswith(CORE_SCOPE) for scope in scopes):
            return None
        needed = f"a scope ending in {CORE_SCOPE} is required"
        return {"error": "invalid_scope", "error_description": needed}

    def credential(self, request: Request, fields: Mapping[str, str]) -> AcceptedCredential:
        """Take the credential from the form, too."""
        in_form = AcceptedCredential(fields.get("client_id", ""), fields.get("client_secret", ""))
        return super().credential(request, fields) or in_form

    def public_id(self, table: str, key: int) -> str:
        """Return the sourcedId of a row."""
        return self._rows[self._version].ids.of(table, key)

    def authorize(self, scope: Scope) -> Response | None:
        """Judge the bearer token, or the OAuth 1.0a signature by knob, and the permission."""
        knobs, request = self.district.knobs, Request(scope)
        authorization = request.headers.get("authorization", "")
        if knobs.auth == "oauth1":
            if not self._oauth1.accepts(request.method, str(request.url), authorization):
                return self.error(401, "The request's OAuth signature is not valid.")
        else:
            state = self.district.tokens.state(authorization)
            if state is TokenState.EXPIRED:
                return self._challenge("Token has expired.", "The access token expired")
            if state is not TokenState.VALID:
                return self._challenge("A valid access token is required.", "unknown token")
        if any(word in scope["path"] for word in knobs.deny):
            return self.error(403, "The app has no permission for this resource.")
        return None

    def _challenge(self, message: str, description: str) -> Response:
        reply = self.error(401, message)
        reply.headers["www-authenticate"] = (
            f'Bearer error="invalid_token", error_description="{description}"'
        )
        return reply

    def error(self, status: int, message: str, code: str | None = None) -> Response:
        """Return an error as OneRoster 1.2 writes it."""
        fallback = "internal_server_error" if status >= 500 else "invaliddata"
        minor = code or _MINOR_OF_STATUS.get(status, fallback)
        field = {"imsx_codeMinorFieldName": "TargetEndSystem", "imsx_codeMinorFieldValue": minor}
        body = {
            "imsx_codeMajor": "failure",
            "imsx_severity": "error",
            "imsx_description": message,
            "imsx_CodeMinor": {"imsx_codeMinorField": [field]},
        }
        return json_reply(body, status)

    def _resource(self, request: Request, version: str) -> Resource:
        resource = self._shapes[version].get(request.path_params["resource"])
        if resource is None or version != self._version:
            raise Refusal(404, "There is no such resource.", "unknownobject")
        return resource

    def _single(self, request: Request, resource: Resource, version: str) -> Response:
        sourced_id = request.path_params["sourced_id"]
        for part in resource.parts:
            key = self._rows[version].ids.key(part.id_word, sourced_id)
            if key is not None and key in part.table:
                row = self._projected(request, resource, [part.row(key)])[0]
                return json_reply({self._word(resource, resource.one): row})
        raise Refusal(404, "There is no row with this sourcedId.", "unknownobject")

    async def _list(self, request: Request, resource: Resource) -> Response:
        knobs, cap = self.district.knobs, self.district.page_cap
        limit = whole_number(request, "limit", min(knobs.default_limit, cap), 1)
        offset = whole_number(request, "offset", 0, 0)
        if limit > cap and knobs.over_cap == "refuse":
            raise Refusal(400, f"limit is at most {cap}")
        limit = min(limit, cap)
        wanted, order = self._filter(request, resource), _order(request, resource)
        if wanted == "nothing":
            rows, total = [], 0
        elif wanted is None and order is None:
            first, size, total = self.district.window_of_list(offset, limit, len(resource))
            rows = resource.page(first, size)
        else:
            codes = await select(self._selections, resource, wanted, order)
            first, size, total = self.district.window_of_list(offset, limit, len(codes))
            rows = [resource.row(code) for code in codes[first : first + size]]
        rows = self._projected(request, resource, rows)
        headers = self._list_headers(request, offset, limit, total)
        reply = json_reply({self._word(resource, resource.many): rows}, headers=headers)
        self.district.page_served(resource.name)
        return reply

    def _word(self, resource: Resource, word: str) -> str:
        if resource.name == "students" and self.district.knobs.students_envelope == "students":
            return "students" if word == "users" else "student"
        return word

    def _filter(self, request: Request, resource: Resource) -> Any:
        """Return the filter, None, or "nothing" where the server answers with an empty list."""
        text, mode = request.query_params.get("filter"), self.district.knobs.filter_mode
        if text is None or mode == "ignore":
            return None
        if mode == "refuse":
            raise Refusal(400, "Filters are not supported.", "invalid_filter_field")
        if mode == "empty":
            return "nothing"
        try:
            parsed: FilterExpression = parse_filter(text)
        except ValueError as error:
            raise Refusal(400, str(error), "invalid_filter_field") from error
        known = resource.specimen()
        for term in parsed.terms:
            head = term.field.partition(".")[0]
            if known and head not in known and head != "role":
                raise Refusal(400, f"There is no field {head[:50]}.", "invalid_filter_field")
        return parsed

    def _projected(self, request: Request, resource: Resource, rows: list[Row]) -> list[Row]:
        text = request.query_params.get("fields")
        if text is None:
            return rows
        names = [name.strip() for name in text.split(",")]
        known = resource.specimen()
        if known and not set(names) <= set(known):
            raise Refusal(400, "fields has a name that does not exist", "invalid_selection_field")
        return [{name: row[name] for name in names if name in row} for row in rows]

    def _list_headers(
        self, request: Request, offset: int, limit: int, total: int
    ) -> dict[str, str]:
        knobs = self.district.knobs
        headers = {"x-total-count": str(total)} if knobs.send_total else {}
        if knobs.send_link:
            last = max(0, (total - 1) // limit * limit)
            places = {"first": 0, "last": last}
            if offset + limit < total:
                places["next"] = offset + limit
            if offset > 0:
                places["prev"] = max(0, offset - limit)
            query = {k: v for k, v in request.query_params.items() if k != "offset"}
            base = self.district.url + request.url.path
            headers["link"] = ", ".join(
                f'<{base}?{urlencode({**query, "limit": limit, "offset": place})}>; rel="{rel}"'
                for rel, place in places.items()
            )
        return headers


def _order(request: Request, resource: Resource) -> SortOrder | None:
    field = request.query_params.get("sort")
    direction = request.query_params.get("orderBy", "asc")
    if direction not in ("asc", "desc"):
        raise Refusal(400, "orderBy is asc or desc", "invalid_sort_field")
    if field is None:
        return None if direction == "asc" else SortOrder("sourcedId", descending=True)
    known = resource.specimen()
    if known and field.partition(".")[0] not in known:
        raise Refusal(400, "sort has a name that does not exist", "invalid_sort_field")
    return (
        None
        if (field, direction) == ("sourcedId", "asc")
        else SortOrder(field, direction == "desc")
    )
