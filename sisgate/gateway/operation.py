"""What an operator looks at and changes: limits, breakers, keys, quarantine, usage, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

from sisgate.access.policy import Action
from sisgate.gateway import metrics
from sisgate.gateway.availability import Hold, hold_of
from sisgate.gateway.breakers import ProviderBreakers
from sisgate.gateway.control import ProviderControl
from sisgate.gateway.core import Core
from sisgate.gateway.keys import ProviderKeys
from sisgate.gateway.liveness import Liveness, read_liveness
from sisgate.gateway.quarantine import QuarantineDesk
from sisgate.gateway.usage import Usage, read_usage
from sisgate.monitoring.reading import FleetReading


class Operation(Core):
    """The part of the gateway that keeps providers running."""

    def control(self, name: str) -> ProviderControl:
        """Return what can be changed about a provider at run time: limits and pauses."""
        config = self.provider(name)
        return ProviderControl(self, config, self.context.limits(config))

    def breakers(self, name: str) -> ProviderBreakers:
        """Return a provider's circuit breakers: how they stand, and fixing them by hand."""
        return ProviderBreakers(self, self.provider(name))

    def keys(self, name: str) -> ProviderKeys:
        """Return the keys of a provider: add, stage, rotate, promote, roll back, revoke, usage."""
        return ProviderKeys(self, self.provider(name))

    @cached_property
    def quarantine(self) -> QuarantineDesk:
        """The messages that no worker could take: list, show, requeue, drop."""
        return QuarantineDesk(self)

    def hold(self, name: str) -> Hold | None:
        """Return why a provider takes no calls now and when the next is made; None if it does.

        Raises `BrokerUnavailable`: then no call is made either.
        """
        config = self.provider(name)
        self.access.pass_some(Action.LOOK, name)
        return hold_of(self.context, config)

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
        return read_usage(self, provider, app, since, until, by)

    def liveness(self) -> Liveness:
        """Return which processes of the fleet are alive, and what keeps jobs from going on.

        A Redis or ledger that cannot be reached is told by it and raises nothing.
        """
        self.access.pass_role(Action.LOOK)
        return read_liveness(self.context)

    def metrics(self) -> FleetReading:
        """Return how the fleet stands, in numbers; `BrokerUnavailable` where Redis is away.

        `sisgate.monitoring.openmetrics.render` makes OpenMetrics text of it.
        """
        return metrics.read(self)
