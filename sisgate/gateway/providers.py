"""The configured providers: their state and run-time changes."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from sisgate.access.policy import Action, covers_some
from sisgate.errors import DatabaseUnavailable
from sisgate.gateway.availability import hold_of
from sisgate.gateway.breakers import ProviderBreakers
from sisgate.gateway.control import ProviderControl
from sisgate.gateway.core import Core
from sisgate.gateway.datasets import absent_datasets
from sisgate.gateway.forecast import read_queue
from sisgate.gateway.hold import Hold
from sisgate.gateway.overview import Overview, read_overview
from sisgate.gateway.plan import PriorityQueue
from sisgate.gateway.provider_search import ProviderPage, find_providers, window_shape
from sisgate.gateway.usage import Usage, read_usage
from sisgate.settings import ProviderConfig


class Providers:
    """The configured providers. Methods raise `UnknownProvider` for an unknown name."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get(self, name: str) -> ProviderConfig:
        """Return the configuration of a provider."""
        return self._core.provider(name)

    def urls(self, name: str) -> Sequence[str]:
        """Return the base URLs of a provider's endpoints."""
        self._core.access.require_any(Action.LOOK, name)
        return [each.url for each in self._core.provider(name).endpoints]

    def names(self) -> Sequence[str]:
        """Return the names of the providers that the caller may see."""
        principal = self._core.access.require_role(Action.LOOK)
        return [
            name
            for name in self._core.configuration.current().providers
            if covers_some(principal, name)
        ]

    def overview(self, name: str | None = None) -> Overview:
        """Return the state of one provider or of all that the caller may see: quota, backlog, keys.

        For one provider, includes the datasets that it does not offer. If the ledger or Redis is
        away, its values are missing and nothing is raised.
        """
        if name is None:
            return read_overview(self._core, [self.get(each) for each in self.names()])
        config = self.get(name)
        self._core.access.require_any(Action.LOOK, name)
        overview = read_overview(self._core, [config])
        with suppress(DatabaseUnavailable):  # `unknown` reports it
            (provider,) = overview.providers
            absent = absent_datasets(self._core, name)
            return replace(overview, providers=[replace(provider, absent=absent)])
        return overview

    def search(
        self,
        text: str = "",
        *,
        kind: str | None = None,
        pool: str | None = None,
        sort: str = "name",
        page: int = 1,
        size: int = 50,
    ) -> ProviderPage:
        """Return a page of the providers that the caller may see, with their state.

        `text` is a part of the name. `sort` is `name`, `kind`, `pool`, or `waiting`: the longest
        backlog first. Only the state of the page's providers is read, so it serves thousands.
        """
        names = self.names()
        return find_providers(self._core, names, text, kind, pool, sort, page, size)

    def window_shape(self, name: str, parts: int = 24) -> Sequence[int]:
        """Return how many permits of the longest window come back in each part of it from now on.

        Empty without a limit. Raises `BrokerUnavailable`.
        """
        config = self._core.provider(name)
        self._core.access.require_any(Action.LOOK, name)
        return window_shape(self._core, config, parts)

    def control(self, name: str) -> ProviderControl:
        """Return the limits and pauses of a provider, to change at run time."""
        return ProviderControl(self._core, self._core.provider(name))

    def breakers(self, name: str) -> ProviderBreakers:
        """Return the circuit breakers of a provider."""
        return ProviderBreakers(self._core, self._core.provider(name))

    def queue(self, name: str) -> Sequence[PriorityQueue]:
        """Return what waits for a provider by priority, the most urgent first.

        Raises `BrokerUnavailable`.
        """
        self._core.provider(name)
        self._core.access.require_any(Action.LOOK, name)
        return read_queue(self._core, name)

    def hold(self, name: str) -> Hold | None:
        """Return why a provider takes no calls now and until when; None if it does.

        Raises `BrokerUnavailable`; without Redis, no calls are made either.
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
        """Return the calls of each app to each provider, and their results.

        Counts whole hours from `since` (default: a day ago) to `until` (default: now). `by` is
        `total`, `day` (UTC) or `hour`. An app sees only its own calls.
        """
        return read_usage(self._core, provider, app, since, until, by)
