"""The fleet as a whole: whether its processes are alive, and its numbers."""

from __future__ import annotations

from sisgate.access.policy import Action
from sisgate.gateway import metrics
from sisgate.gateway.core import Core
from sisgate.gateway.liveness import Liveness, read_liveness
from sisgate.monitoring.reading import FleetReading


class FleetStatus:
    """What a screen or a monitor asks of all workers, planners and beat together."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def liveness(self) -> Liveness:
        """Return which processes of the fleet are alive, and what keeps jobs from going on.

        A Redis or ledger that cannot be reached is told by it and raises nothing.
        """
        self._core.access.require_role(Action.LOOK)
        return read_liveness(self._core.context)

    def metrics(self) -> FleetReading:
        """Return how the fleet stands, in numbers; `BrokerUnavailable` where Redis is away.

        `sisgate.monitoring.openmetrics.render` makes OpenMetrics text of it.
        """
        return metrics.read(self._core)
