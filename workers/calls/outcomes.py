"""What a request brought, and the outcome of its call, which `classify` decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sisgate.errors import (
    AnswerInvalid,
    ProviderUnavailable,
    SisgateError,
)
from sisgate.providers.dialect import Listing, Page
from sisgate.providers.http import HttpResponse


@dataclass(frozen=True)
class UsedToken:
    """The access token of a request; `is_new` where it was fetched for it."""

    is_new: bool
    forget: Callable[[], None] = field(default=lambda: None)
    """Drops it from the fleet's cache, unless it has been replaced there already."""


@dataclass(frozen=True)
class Reply:
    """What a call brought: a response, or the error that stood in its way.

    Without authorisation (its token could not be had) the endpoint itself was asked nothing.
    `key` is the id of the key that it was asked with, `token` the access token, if there is one.
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


ErrorPayload = Mapping[str, Any]
"""An error JSON-ready: `code`, `message`, ids and numbers."""


@dataclass(frozen=True)
class Counted:
    """A listing has so many rows."""

    total: int


@dataclass(frozen=True)
class PageRead:
    """A page of a listing is in hand."""

    page: Page


@dataclass(frozen=True)
class Answered:
    """A request got its answer, which is stored. With an error the provider refused it."""

    response: HttpResponse
    error: ErrorPayload | None = None


@dataclass(frozen=True)
class ReadOtherwise:
    """A refusal after which the sync reads on by other plans, or without its filter by None."""

    error: ErrorPayload
    plans: Sequence[Listing] | None = None


@dataclass(frozen=True)
class RateLimited:
    """The provider asked to wait, for `block_seconds` if it said how long (else 0)."""

    error: ErrorPayload
    block_seconds: float = 0.0


@dataclass(frozen=True)
class Waits:
    """The call waits in the ledger.

    `spends_try`: it has failed by its own fault. `is_retry`: it has failed, whosever fault it was,
    so it counts against the budget for retries from now on.
    """

    error: ErrorPayload
    seconds: float
    spends_try: bool = False
    is_retry: bool = False


@dataclass(frozen=True)
class Fails:
    """The call has failed, and its job with it. `tries`: given up after so many failures."""

    error: ErrorPayload
    tries: int | None = None


@dataclass(frozen=True)
class Unknown:
    """The provider may have carried out the request, and must not be asked again."""

    error: ErrorPayload


CallOutcome = Counted | PageRead | Answered | ReadOtherwise | RateLimited | Waits | Fails | Unknown
