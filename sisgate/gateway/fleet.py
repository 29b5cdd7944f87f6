"""The fleet as a whole: whether its processes are alive, and its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from sisgate.access.policy import Action
from sisgate.gateway import metrics
from sisgate.gateway.core import Core
from sisgate.gateway.liveness import Liveness, read_liveness
from sisgate.monitoring.fleet_snapshot import FleetSnapshot


class FleetStatus:
    """The state of all workers, planners and beat together, for screens and monitors."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def liveness(self, providers: Sequence[str] | None = None) -> Liveness:
        """Return which processes are alive, and what blocks jobs.

        Those of some `providers`, or of all.
        A Redis or ledger that cannot be reached is an obstacle, and raises nothing.
        """
        self._core.access.require_role(Action.LOOK)
        return read_liveness(self._core.context, providers)

    def metrics(self) -> FleetSnapshot:
        """Return the state of the fleet in numbers; `BrokerUnavailable` where Redis is away."""
        return metrics.read(self._core)

    def openmetrics(self) -> str:
        """Return the same as OpenMetrics text."""
        # Few need it, and its library comes with the extra `cli` only.
        from sisgate.monitoring.openmetrics import render

        return render(self.metrics())
