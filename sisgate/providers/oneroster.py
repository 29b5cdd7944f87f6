"""OneRoster Rostering 1.1 and 1.2 over REST, as servers really speak it.

Source: the REST bindings of 1EdTech OneRoster 1.1 and OneRoster Rostering 1.2. What the
specification promises and servers do not always keep: `X-Total-Count` and `Link` may be missing,
`limit` may be clamped without a word, a list of one may be an object, `/students` may answer under
`users` or under `students`.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from sisgate.domain.records import ROSTER, Row
from sisgate.errors import ConfigurationError, UnknownResource
from sisgate.providers.dialect import Dialect, DialectOptions, Listing, Page, Position
from sisgate.providers.http import HttpRequest, HttpResponse
from sisgate.providers.oneroster_mapping import canonical_row
from sisgate.providers.paging import Note, local_link, next_link, query_of, read_rows
from sisgate.providers.refusals import not_in_dialect, read_body
from sisgate.providers.values import utc_timestamp

_ENVELOPES: dict[str, tuple[str, ...]] = {
    "schools": ("schools", "orgs"),
    "terms": ("terms", "academicSessions"),
    "gradingPeriods": ("gradingPeriods", "academicSessions"),
    "students": ("students", "users"),
    "teachers": ("teachers", "users"),
}
_SCOPE = "https://purl.imsglobal.org/spec/or/{version}/scope/roster-core.readonly"
_STABLE_ORDER = (("sort", "sourcedId"), ("orderBy", "asc"))


class OneRoster(Dialect):
    """A OneRoster server of any vendor.

    Options: `version` (`1.1` or `1.2`, the default), `base_path` (the whole path in front of the
    resources; each version has its usual one), `page_size` (the `limit` that is asked for).
    The default scope covers all resources but demographics, for which many servers want
    `roster-demographics.readonly` besides: configure both there.
    """

    kind = "oneroster"
    resources = (*ROSTER, "schools", "academicSessions", "gradingPeriods", "users")
    # Classes refer to semesters and years as well, and /terms of many servers has neither.
    roster = tuple("academicSessions" if each == "terms" else each for each in ROSTER)
    default_limit = "500/h"
    default_auth = "oauth2-basic"
    default_scope = _SCOPE.format(version="v1p2")
    default_page_size: ClassVar[int] = 1000
    base_paths: ClassVar[dict[str, str]] = {
        "1.1": "/ims/oneroster/v1p1",
        "1.2": "/ims/oneroster/rostering/v1p2",
    }

    def __init__(self, options: DialectOptions) -> None:
        super().__init__(options)
        self.version = options.version or "1.2"
        if self.version not in self.base_paths:
            known = " and ".join(self.base_paths)
            raise ConfigurationError(
                f"The kind {self.kind} speaks OneRoster {known}, not {self.version}."
            )
        self.base_path = usable_base_path(options.base_path or self.base_paths[self.version])

    def token_path(self) -> str | None:
        """The specification leaves the token endpoint open: it must be configured."""
        return None

    def token_scope(self) -> str | None:
        """The scope carries the version."""
        return _SCOPE.format(version="v1p1" if self.version == "1.1" else "v1p2")

    @property
    def can_filter(self) -> bool:
        """`filter` on `dateLastModified`, which a server may still refuse or ignore."""
        return True

    def plan(self, resource: str, *, since: datetime | None) -> list[Listing]:
        """One listing in a stable order.

        The filter is `>=`, so an honest server always gives at least the row that set the
        boundary: an empty answer then means that the filter did not work.
        """
        if resource not in self.resources:
            raise UnknownResource(f"The kind {self.kind} offers no {resource}.", resource=resource)
        query: tuple[tuple[str, str], ...] = _STABLE_ORDER
        if since is not None:
            query = (("filter", f"dateLastModified>='{utc_timestamp(since)}'"), *query)
        return [
            Listing(
                name=resource,
                path=f"{self.base_path}/{resource}",
                query=query,
                page_size=self.options.page_size or self.default_page_size,
            )
        ]

    def fallback(self, resource: str, listing: Listing, status: int) -> list[Listing] | None:
        """A server that refuses `sort` as a bad request is asked without it.

        A refused `filter` is not replaced here: whether to read everything instead is the sync's
        decision, which also remembers it.
        """
        if status in (400, 422) and listing.query == _STABLE_ORDER:
            return [replace(listing, name=f"{resource}:unsorted", query=())]
        return None

    def page_request(self, listing: Listing, position: Position) -> HttpRequest:
        """`limit` and `offset`, or whatever an opaque next link holds."""
        if position.link is not None:
            path, _, query = position.link.partition("?")
            return HttpRequest(path, tuple(parse_qsl(query, keep_blank_values=True)))
        size = position.size or listing.page_size
        limit = (("limit", str(size)),) if size else ()
        return HttpRequest(listing.path, (*limit, ("offset", str(position.start)), *listing.query))

    def read_page(
        self, resource: str, listing: Listing, position: Position, response: HttpResponse
    ) -> Page:
        """Return the rows in canonical 1.2 form and what the headers say of the rest."""
        received = _rows_of(resource, response)

        def read(each: Any, note: Note) -> tuple[str, Row]:
            row = canonical_row(resource, each, note)
            return row.sourced_id, row

        rows = read_rows(received, position.start, read)
        more, target = next_link(response)
        if more is None and position.link is not None:
            more = False  # a list that is read by links ends where there is none
        link = None
        if target is not None and "offset" not in query_of(target):
            asked = self.page_request(listing, position)
            link = local_link(
                target,
                asked_url=response.url,
                asked_path=asked.path,
                aliases=self.options.link_origins,
            )
        return Page(
            rows=rows.rows,
            received=len(received),
            ids=rows.ids,
            flaws=rows.flaws,
            total=_total(response.headers.get("x-total-count", "")),
            more=more,
            link=link,
        )

    def probe_request(self) -> HttpRequest:
        """One org."""
        return HttpRequest(f"{self.base_path}/orgs", (("limit", "1"), ("offset", "0")))


def usable_base_path(path: str) -> str:
    """Return `path` as `/…` without a slash at its end; `ConfigurationError` if unusable."""
    trimmed = path.strip().strip("/")
    if {"", ".", ".."}.intersection(trimmed.split("/")) or set("?#\\@ ").intersection(trimmed):
        raise ConfigurationError(f"base_path is a plain path such as /ims/oneroster, not {path!r}.")
    return f"/{trimmed}"


def _rows_of(resource: str, response: HttpResponse) -> Sequence[Any]:
    """Return the rows inside the envelope; a list of one may be the object itself."""
    body = read_body(response)
    if isinstance(body, dict):
        for name in _ENVELOPES.get(resource, (resource,)):
            if name not in body:
                continue
            rows = body[name]
            if rows is None or rows == "":
                return []
            if isinstance(rows, list):
                return rows
            if isinstance(rows, dict) and "sourcedId" in rows:
                return [rows]
            break
    raise not_in_dialect(response, f"with a body that holds no list of {resource}")


def _total(text: str) -> int | None:
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 12 else None
