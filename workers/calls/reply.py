"""What a request brought: a response, or the error that stood in its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sisgate.errors import (
    AnswerInvalid,
    ProviderUnavailable,
    SisgateError,
)
from sisgate.providers.dialect import HttpResponse


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
