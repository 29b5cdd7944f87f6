"""The providers of the configuration: how they stand, and what can be changed at run time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sisgate.access.policy import Action
from sisgate.gateway.availability import Hold, hold_of
from sisgate.gateway.breakers import ProviderBreakers
from sisgate.gateway.control import ProviderControl
from sisgate.gateway.core import Core
from sisgate.gateway.usage import Usage, read_usage
from sisgate.settings import ProviderConfig


class Providers:
    """Methods that name a provider raise `UnknownProvider` where there is none."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get(self, name: str) -> ProviderConfig:
        """Return the configuration of a provider."""
        return self._core.provider(name)

    def control(self, name: str) -> ProviderControl:
        """Return what can be changed about a provider at run time: limits and pauses."""
        return ProviderControl(self._core, self._core.provider(name))

    def breakers(self, name: str) -> ProviderBreakers:
        """Return a provider's circuit breakers: how they stand, and fixing them by hand."""
        return ProviderBreakers(self._core, self._core.provider(name))

    def hold(self, name: str) -> Hold | None:
        """Return why a provider takes no calls now and when the next is made; None if it does.

        Raises `BrokerUnavailable`: then no call is made either.
        """
        config = self._core.provider(name)
        self._core.access.require_any(Action.LOOK, name)
        return hold_of(self._core.context, config)

    def usage(
        self,
        provider: str | None = None,
        *,
        app: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: str = "total",
    ) -> Sequence[Usage]:
        """Return how many calls each app has used of each provider, and what came of them.

        `since` is a day ago unless it is given; whole hours are counted, up to now. `by` is
        `total`, `day` (of UTC) or `hour`. An app sees its own.
        """
        return read_usage(self._core, provider, app, since, until, by)
