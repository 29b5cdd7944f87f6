"""The seam between sisgate and a kind of SIS: what to ask, and what the answer says.

A dialect is pure: it turns a resource into listings, a listing and a position into a request, and
a response into rows. It opens no connection, holds no secret and keeps no state, so every kind is
tested by the same contract suite.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from sisgate.domain.error_messages import code_of_errors
from sisgate.domain.records import ROSTER, Row
from sisgate.domain.response_class import ResponseClass, of_status
from sisgate.providers.http import HttpRequest, HttpResponse
from sisgate.providers.refusals import (
    ClassifiedResponse,
    ProviderError,
    message_of,
    read_refusal,
    says_permission_missing,
    says_token_expired,
)

Paging = Literal["offset", "page", "single"]
"""How a list is cut: by row offset, by page number, or not at all."""


PAGE_HEADERS = ("content-type", "link", "x-total-count")
"""The headers of a response that `Dialect.read_page` may go by, besides its status and body."""


@dataclass(frozen=True)
class Listing:
    """One list at the provider that is read page by page.

    `name` is unique within a job. `page_size` is the size to request (None: the server's own).
    `counted_by` is the path of a count resource, for servers whose pages carry no total.
    `context` is what the dialect needs again when it reads the pages (a school's id, a role, …).
    `discovers` marks a list whose rows only lead to further listings and are not records.
    """

    name: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    json_body: Any = None
    paging: Paging = "offset"
    page_size: int | None = None
    counted_by: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    discovers: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the listing as a JSON-ready dict for the ledger."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Listing:
        """Return the listing that `to_json` stored."""
        query = tuple((k, v) for k, v in stored["query"])
        return cls(**{**stored, "query": query})


@dataclass(frozen=True)
class Position:
    """The position of a page in a listing.

    `start` is the row offset (`offset` paging) and `page` the page number from 1 (`page` paging);
    `size` is the number of rows to request (None: the server's own). `link` is the path and query
    of an opaque `rel=next` and overrides both.
    """

    start: int = 0
    page: int = 1
    size: int | None = None
    link: str | None = None


@dataclass(frozen=True)
class Flaw:
    """What could not be used of one row: its number in the list, from 1, and the field.

    `field` is None if the whole row is wrong. `lost`: the row is not a record; otherwise the record
    was read without the field. `problem` holds no value.
    """

    row: int
    field: str | None
    problem: str
    lost: bool


@dataclass(frozen=True)
class Page:
    """The content of one page.

    `received` counts the provider's rows, which may be more than `rows` (a dialect may leave rows
    out or, in a discovering listing, turn them into `listings`). `total` is the whole list's
    length if the page reports it. `more` is whether the server says that another page follows
    (None: unknown), `link` its opaque next page (path and query) if the position cannot be
    computed. `ids` are all received ids in order, for the check of the seams. `flaws` are the
    unusable parts of the rows.
    """

    rows: Sequence[Row]
    received: int
    ids: Sequence[str]
    total: int | None = None
    more: bool | None = None
    link: str | None = None
    listings: Sequence[Listing] = ()
    flaws: Sequence[Flaw] = ()


@dataclass(frozen=True)
class DialectOptions:
    """The part of a provider's configuration that its dialect reads."""

    version: str | None = None
    page_size: int | None = None
    base_path: str | None = None
    school_year: int | None = None
    link_origins: tuple[str, ...] = ()


class Dialect(ABC):
    """One kind of SIS. Subclasses set the class variables and translate both ways."""

    kind: ClassVar[str]
    resources: ClassVar[tuple[str, ...]]
    roster: ClassVar[tuple[str, ...]] = ROSTER
    default_limit: ClassVar[str]
    default_auth: ClassVar[str]
    default_concurrency: ClassVar[int | None] = None
    default_scope: ClassVar[str | None] = None

    def __init__(self, options: DialectOptions) -> None:
        self.options = options

    @abstractmethod
    def token_path(self) -> str | None:
        """Return the default path of the token endpoint, or None if it must be configured."""

    def token_scope(self) -> str | None:
        """Return the scope to request; the class's, unless an option changes it."""
        return self.default_scope

    @abstractmethod
    def plan(self, resource: str, *, since: datetime | None) -> list[Listing]:
        """Return the first listings to read.

        `since` limits them to rows changed at or after that time; a dialect that cannot filter
        ignores it, and its `can_filter` is False.
        """

    @property
    def can_filter(self) -> bool:
        """Whether `plan` makes use of `since`."""
        return False

    def fallback(self, resource: str, listing: Listing, status: int) -> list[Listing] | None:
        """Return listings that replace one the server refused with 4xx, or None to fail.

        For instance PowerSchool without the plugin answers 404 to a named query.
        """
        return None

    @abstractmethod
    def page_request(self, listing: Listing, position: Position) -> HttpRequest:
        """Return the request for one page."""

    def count_request(self, listing: Listing) -> HttpRequest | None:
        """Return the request to `listing.counted_by`, or None without one."""
        return HttpRequest(listing.counted_by, listing.query) if listing.counted_by else None

    def read_count(self, listing: Listing, response: HttpResponse) -> int:
        """Return the number in a count resource's response; `AnswerInvalid` if it has none."""
        raise NotImplementedError

    @abstractmethod
    def read_page(
        self, resource: str, listing: Listing, position: Position, response: HttpResponse
    ) -> Page:
        """Return the content of a 2xx page; `AnswerInvalid` if it is not in this dialect.

        The content depends on no other headers than `PAGE_HEADERS`.
        """

    def read_error(self, response: HttpResponse) -> ProviderError:
        """Return the error in a refusal. Never raises, whatever the body (a proxy's HTML, …)."""
        return read_refusal(response)

    def token_expired(self, response: HttpResponse) -> bool:
        """Whether this 401 or 403 means an expired token (not a missing permission)."""
        challenge = response.headers.get("www-authenticate", "").lower()
        in_challenge = "invalid_token" in challenge or "expired" in challenge
        return (response.status == 401 and in_challenge) or says_token_expired(response)

    def classify(self, response: HttpResponse) -> ClassifiedResponse:
        """Return the class of a response, with a message for people unless it is a success."""
        response_class = of_status(response.status)
        if response_class is ResponseClass.DONE:
            return ClassifiedResponse(response_class)
        refusal = self.read_error(response)
        if response_class is ResponseClass.KEY_REFUSED and self.token_expired(response):
            response_class = ResponseClass.TOKEN_EXPIRED
        elif response.status == 401 and not says_permission_missing(refusal):
            response_class = ResponseClass.UNAUTHORIZED
        message = message_of(response, refusal)
        code = code_of_errors(refusal.code)
        return ClassifiedResponse(response_class, message, code, refusal.request_id)

    @abstractmethod
    def probe_request(self) -> HttpRequest:
        """Return the cheapest authorised request, to test access to the provider."""
