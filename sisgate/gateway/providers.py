"""The configured providers: their state, and what can be changed at run time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from sisgate.access.policy import Action, covers_some
from sisgate.errors import DatabaseUnavailable
from sisgate.gateway.availability import Hold, hold_of
from sisgate.gateway.breakers import ProviderBreakers
from sisgate.gateway.control import ProviderControl
from sisgate.gateway.core import Core
from sisgate.gateway.datasets import absent_datasets
from sisgate.gateway.overview import Overview, read_overview
from sisgate.gateway.usage import Usage, read_usage
from sisgate.settings import ProviderConfig


class Providers:
    """Methods that name a provider raise `UnknownProvider` where there is none."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get(self, name: str) -> ProviderConfig:
        """Return the configuration of a provider."""
        return self._core.provider(name)

    def names(self) -> Sequence[str]:
        """Return the names of the providers that the caller may look at."""
        principal = self._core.access.require_role(Action.LOOK)
        return [name for name in self._core.settings.providers if covers_some(principal, name)]

    def overview(self, name: str | None = None) -> Overview:
        """Return the state of the providers that the caller may look at: quota, backlog, keys.

        Of one provider, if `name` is given, also the datasets that it doesn't offer. A ledger or a
        Redis that is away raises nothing: what it knows is then missing.
        """
        if name is None:
            return read_overview(self._core, [self.get(each) for each in self.names()])
        config = self.get(name)
        self._core.access.require_any(Action.LOOK, name)
        overview = read_overview(self._core, [config])
        with suppress(DatabaseUnavailable):  # which is in `unknown`
            (one,) = overview.providers
            absent = absent_datasets(self._core, name)
            return replace(overview, providers=[replace(one, absent=absent)])
        return overview

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
