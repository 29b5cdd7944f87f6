"""The state of the fleet: live processes and metrics."""

from collections.abc import Sequence

from sisgate.access.policy import Action
from sisgate.gateway import metrics
from sisgate.gateway.core import Core
from sisgate.gateway.dashboard import Dashboard, read_dashboard
from sisgate.gateway.liveness import Liveness, read_liveness
from sisgate.gateway.readiness import Readiness, read_readiness
from sisgate.monitoring.openmetrics import render
from sisgate.monitoring.readings import Readings


class FleetStatus:
    """The state of all workers, planners and beat, for screens and monitors."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def liveness(self, providers: Sequence[str] | None = None) -> Liveness:
        """Return which processes are alive, and what blocks jobs of some `providers` or all.

        An unreachable Redis or ledger is an obstacle, not an error.
        """
        self._core.access.require_role(Action.LOOK)
        return read_liveness(self._core.context, providers)

    def dashboard(self) -> Dashboard:
        """Return the fleet at a glance, as far as the caller may see it.

        That is what needs attention, backlog, quota left and processes. What cannot be read is
        missing, not an error.
        """
        return read_dashboard(self._core)

    def readiness(self) -> Readiness:
        """Return whether this process can accept jobs, and whether somebody does the work.

        Needs no right: it says nothing about jobs. What is down is a result, not an error.
        """
        return read_readiness(self._core.context)

    def metrics(self) -> Readings:
        """Return the metrics of the fleet; `BrokerUnavailable` if Redis cannot be reached."""
        return metrics.read(self._core)

    def openmetrics(self) -> str:
        """Return the metrics as OpenMetrics text."""
        return render(self.metrics())
