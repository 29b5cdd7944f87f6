"""What a reply comes to, as values: decided by `classify`, written by `persist`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sisgate.providers.dialect import HttpResponse, Listing, Page

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
