"""What one call carries from step to step, the reply to a request, and the call's outcome."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sisgate.credentials.sealed import open_request
from sisgate.domain.links import Link, unsent_at
from sisgate.domain.targets import body_of, query_pairs
from sisgate.errors import AnswerInvalid, BrokerUnavailable, ProviderUnavailable, SisgateError
from sisgate.ledger.calls import Claim, Purpose
from sisgate.ledger.known_pages import PageOnFile
from sisgate.logs import concerning
from sisgate.providers.dialect import Listing, Page
from sisgate.providers.http import HttpRequest, HttpResponse
from sisgate.settings import ProviderConfig
from sisgate.sync import known_pages
from sisgate.tracing import trace_id_of
from workers.admission.permits import LEAST_SECONDS, Permit
from workers.endpoints import ProviderEndpoints, Route
from workers.runtime import Runtime


@dataclass(frozen=True)
class UsedToken:
    """The access token of a request; `is_new` where it was fetched for it."""

    is_new: bool
    forget: Callable[[], None] = field(default=lambda: None)
    """Drops it from the fleet's cache, unless it has been replaced there already."""


@dataclass(frozen=True)
class Reply:
    """The reply to a request: a response, or the error that prevented one.

    Without authorization (no token could be fetched) nothing was sent to the endpoint. `key` is the
    id of the key used, `token` the access token, if there is one.
    """

    endpoint: str
    response: HttpResponse | None = None
    error: SisgateError | None = None
    token: UsedToken | None = None
    took_seconds: float = 0.0
    is_authorised: bool = True
    key: str | None = None

    @property
    def status(self) -> int | None:
        """The status of the response, None without one."""
        return self.response.status if self.response is not None else None

    @property
    def was_sent(self) -> bool:
        """Whether the provider may have seen the call, so that it may count against its quota."""
        if self.response is not None:
            return True
        return (
            isinstance(self.error, ProviderUnavailable | AnswerInvalid)
            and self.is_authorised
            and self.error.detail.get("sent") is not False
        )

    @property
    def broke_off_at(self) -> Link | None:
        """Where a request that was not sent broke off; None if it only waited."""
        return unsent_at(self.error.as_dict()) if self.error is not None else None

    def drop_token(self) -> None:
        """Let the next request fetch another access token, if this one had any."""
        if self.token is not None:
            with suppress(BrokerUnavailable):
                self.token.forget()


Waited = Mapping[str, float]
"""Milliseconds by stage of `sisgate.domain.call_results.STAGES`."""

ErrorPayload = Mapping[str, Any]
"""An error JSON-ready: `code`, `message`, ids and numbers."""


@dataclass(frozen=True)
class Counted:
    """A listing has so many rows."""

    total: int


@dataclass(frozen=True)
class PageRead:
    """A page of a listing was read. `digest` is how to know it again, if it may be."""

    page: Page
    digest: bytes | None = None


@dataclass(frozen=True)
class PageAgain:
    """A page came as it is known, and was not read."""

    known: PageOnFile

    @property
    def page(self) -> Page:
        """The page without its rows."""
        return known_pages.page_of(self.known)


@dataclass(frozen=True)
class Answered:
    """A request got a response, which is stored. With `error` the provider refused it."""

    response: HttpResponse
    error: ErrorPayload | None = None


@dataclass(frozen=True)
class ReadOtherwise:
    """A refusal after which the sync continues with other plans; None: without its filter."""

    error: ErrorPayload
    plans: Sequence[Listing] | None = None


@dataclass(frozen=True)
class RateLimited:
    """The provider is rate-limiting; `block_seconds` is how long to wait, 0 if not given."""

    error: ErrorPayload
    block_seconds: float = 0.0


@dataclass(frozen=True)
class Waits:
    """The call waits in the ledger.

    `spends_try`: the failure is its own fault. `is_retry`: it has failed, whoever was at fault, so
    it now counts against the budget for retries. `is_former`: the error is that of an earlier try.
    """

    error: ErrorPayload
    seconds: float
    spends_try: bool = False
    is_retry: bool = False
    is_former: bool = False


@dataclass(frozen=True)
class Fails:
    """The call has failed, and its job with it. `tries`: given up after that many attempts."""

    error: ErrorPayload
    tries: int | None = None


@dataclass(frozen=True)
class Unknown:
    """The provider may have carried out the request, so it must not be repeated."""

    error: ErrorPayload


CallOutcome = (
    Counted
    | PageRead
    | PageAgain
    | Answered
    | ReadOtherwise
    | RateLimited
    | Waits
    | Fails
    | Unknown
)


@dataclass(eq=False, repr=False)
class CallContext:
    """A claimed call in progress. Each of its requests has a permit and a route."""

    runtime: Runtime
    config: ProviderConfig
    claim: Claim
    permit: Permit = field(init=False)
    """The permit of the current or next request."""
    route: Route = field(init=False)
    """The current route."""
    tried: list[str] = field(default_factory=list, init=False)
    """The endpoints tried, in order."""
    sent: int = field(default=0, init=False)
    """How many requests the provider may have seen."""
    waited: Waited = field(default_factory=dict)
    """What went before its first attempt."""
    ends_at: float = field(init=False)
    """When its time ends by the machine's monotonic clock, counted from the first route."""

    def __post_init__(self) -> None:
        self._first_attempt = self.claim.call.attempt

    def measured(self, reply: Reply, attempt: int) -> dict[str, Any]:
        """Return whether an attempt was sent, and what its time was spent on, for the audit log."""
        spent = dict(self.waited) if attempt == self._first_attempt else {}
        if not reply.was_sent:
            return {"sent": False, "ms": spent or None}
        return {"ms": spent | {"provider": round(1000 * reply.took_seconds, 1)}}

    def name_in_log(self) -> None:
        """Let what is logged from now on name the call and its attempt, also what libraries log."""
        job, call = self.claim.job, self.claim.call
        trace = trace_id_of(job.traceparent)
        concerning(
            job=job.id, call=call.id, provider=job.provider, attempt=call.attempt, trace=trace
        )

    def trace(self, reply: Reply, ended_at: datetime, attempt: int) -> None:
        """Write the spans of an attempt that has ended, if its job belongs to a trace."""
        job, spans = self.claim.job, self.runtime.spans
        if spans is not None and job.traceparent is not None:
            method = self.request.method if reply.was_sent else ""
            measured = self.measured(reply, attempt)
            spans.ended(self.claim, method, reply, ended_at, attempt, measured)

    @cached_property
    def target(self) -> Mapping[str, Any]:
        """The target of a request, decrypted; raises as `open_request` does."""
        return open_request(self.runtime.vault, self.claim.job)

    @cached_property
    def request(self) -> HttpRequest:
        """The HTTP request of the call; raises as `open_request` does."""
        call, listing_row = self.claim.call, self.claim.listing
        if call.purpose == Purpose.REQUEST:
            target = self.target
            return HttpRequest(
                target["path"],
                query_pairs(target["query"]),
                target["method"],
                target["json"],
                tuple(target.get("headers", {}).items()),
                body_of(target),
            )
        assert listing_row is not None
        listing = Listing.from_json(listing_row.plan)
        if call.purpose == Purpose.COUNT:
            request = self.config.dialect.count_request(listing)
            assert request is not None
            return request
        return self.config.dialect.page_request(listing, self.claim.position)

    @property
    def endpoints(self) -> ProviderEndpoints:
        """The endpoints of its provider."""
        return self.runtime.endpoints(self.config)

    def take(self, route: Route) -> None:
        """Switch to this route."""
        if not self.tried:
            self.ends_at = self.runtime.clock.monotonic() + self.config.timeout_seconds
        self.route = route
        self.tried.append(route.url)

    @property
    def has_time(self) -> bool:
        """Whether there is time for one more request."""
        left = self.ends_at - self.runtime.clock.monotonic()
        return left >= LEAST_SECONDS and not self.is_overdue

    @property
    def is_overdue(self) -> bool:
        """Whether its job's deadline has passed."""
        deadline = self.claim.job.expires_at
        return deadline is not None and deadline <= self.runtime.clock.now()
