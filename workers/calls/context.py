"""What one call carries from step to step: what it is, its permit, and the way that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sisgate.credentials.sealed import open_request
from sisgate.ledger.calls import Claim, Purpose
from sisgate.providers.dialect import Listing
from sisgate.providers.http import HttpRequest
from sisgate.settings import ProviderConfig
from workers.admission.permits import LEAST_SECONDS, Permit
from workers.endpoints import ProviderEndpoints, Route
from workers.runtime import Runtime


@dataclass(eq=False, repr=False)
class CallContext:
    """A claimed call under way. Its steps move it on: each request has a permit and a route."""

    runtime: Runtime
    config: ProviderConfig
    claim: Claim
    permit: Permit = field(init=False)
    """That of the request which is made now or next."""
    route: Route = field(init=False)
    """Where it goes now."""
    tried: list[str] = field(default_factory=list, init=False)
    """The endpoints that it was routed to, in order."""
    sent: int = field(default=0, init=False)
    """How many requests the provider may have seen."""
    ends_at: float = field(init=False)
    """When its time is over by the machine's monotonic clock; it runs from the first route on."""

    @cached_property
    def target(self) -> Mapping[str, Any]:
        """What a request asks for, opened; raises as `open_request` does."""
        return open_request(self.runtime.vault, self.claim.job)

    @cached_property
    def request(self) -> HttpRequest:
        """The HTTP request that the call stands for; raises as `open_request` does."""
        call, listing_row = self.claim.call, self.claim.listing
        if call.purpose == Purpose.REQUEST:
            target = self.target
            query = tuple((str(k), str(v)) for k, v in target["query"].items())
            return HttpRequest(target["path"], query, target["method"], target["json"])
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
        """Go this way from now on."""
        if not self.tried:
            self.ends_at = self.runtime.clock.monotonic() + self.config.timeout_seconds
        self.route = route
        self.tried.append(route.url)

    @property
    def has_time(self) -> bool:
        """Whether one more request may be made for it now."""
        left = self.ends_at - self.runtime.clock.monotonic()
        return left >= LEAST_SECONDS and not self.is_overdue

    @property
    def is_overdue(self) -> bool:
        """Whether its job's deadline has passed."""
        deadline = self.claim.job.expires_at
        return deadline is not None and deadline <= self.runtime.clock.now()
