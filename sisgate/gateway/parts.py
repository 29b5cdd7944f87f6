"""The parts of a gateway. Each is imported on first use: most apps need only a few of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from sisgate.start_up import LazyPart

if TYPE_CHECKING:
    from sisgate.access.policy import Principal
    from sisgate.access.sessions import Sessions
    from sisgate.access.token_service import TokenService
    from sisgate.context import Context
    from sisgate.gateway.acceptance import Acceptance
    from sisgate.gateway.alerts import Alerts
    from sisgate.gateway.audit import AuditLog
    from sisgate.gateway.bulk import Bulk
    from sisgate.gateway.configuration import Configuration
    from sisgate.gateway.datasets import Datasets
    from sisgate.gateway.diagnosis.diagnosis import Diagnosis
    from sisgate.gateway.disclosure import Disclosures
    from sisgate.gateway.errors import ErrorPatterns
    from sisgate.gateway.fleet import FleetStatus
    from sisgate.gateway.jobs import Jobs
    from sisgate.gateway.keys import Keys
    from sisgate.gateway.ledger import Ledger
    from sisgate.gateway.many_syncs import ManySyncs
    from sisgate.gateway.privacy import Privacy
    from sisgate.gateway.providers import Providers
    from sisgate.gateway.quarantine import QuarantineService
    from sisgate.gateway.requests import Requests
    from sisgate.gateway.schedules import Schedules
    from sisgate.gateway.sla import ServiceLevels
    from sisgate.gateway.syncs import Syncs
    from sisgate.gateway.transforms import Transforms
    from sisgate.gateway.webhooks import Webhooks
    from sisgate.gateway.why import Verdicts


class Parts:
    """What a gateway consists of: the core, and the parts that are built on it.

    Parts depend on the core and on each other, never on the gateway. They hold no state, so it does
    no harm if two threads create one at the same time.
    """

    def _share(
        self,
        context: Context,
        principal: Principal | None,
        user: str | None,
        acceptance: Acceptance | None = None,
    ) -> None:
        """Set what all parts are built on."""
        from sisgate.gateway.acceptance import Acceptance
        from sisgate.gateway.core import Core

        self._core = core = Core(context, principal=principal, user=user)
        self._acceptance = acceptance or Acceptance(context)
        self.context, self.settings, self.access = context, core.settings, core.access

    @cached_property
    def jobs(self) -> Jobs:
        """Status, waiting, and actions on jobs."""
        from sisgate.gateway.answers import Answers
        from sisgate.gateway.jobs import Jobs

        return Jobs(self._core, self._acceptance, Answers(self._core, self._disclosures))

    datasets: LazyPart[Datasets] = LazyPart(
        "sisgate.gateway.datasets:Datasets", "_core", "_disclosures"
    )
    """Records, changes, and the cursor of a dataset."""

    schedules: LazyPart[Schedules] = LazyPart(
        "sisgate.gateway.schedules:Schedules", "_core", "_bulk", "datasets"
    )
    """What is synced when."""

    _many_syncs: LazyPart[ManySyncs] = LazyPart(
        "sisgate.gateway.many_syncs:ManySyncs", "_core", "_bulk", "datasets"
    )

    configuration: LazyPart[Configuration] = LazyPart(
        "sisgate.gateway.configuration:Configuration", "_core"
    )
    """What the fleet shares: its versions, and the one in force."""

    providers: LazyPart[Providers] = LazyPart("sisgate.gateway.providers:Providers", "_core")
    """The configured providers: quota, control, breakers, usage."""

    keys: LazyPart[Keys] = LazyPart("sisgate.gateway.keys:Keys", "_core")
    """The keys of providers, and the master keys."""

    @cached_property
    def tokens(self) -> TokenService:
        """Access tokens of apps and people."""
        from sisgate.access.token_service import TokenService

        return TokenService(self._core.database, self._core.clock, self._core.access)

    @cached_property
    def sessions(self) -> Sessions:
        """What a browser holds in place of a token."""
        from sisgate.access.sessions import Sessions

        return Sessions(self._core.database, self._core.clock)

    audit: LazyPart[AuditLog] = LazyPart("sisgate.gateway.audit:AuditLog", "_core")
    """The audit log: reading, verifying, exporting."""

    privacy: LazyPart[Privacy] = LazyPart("sisgate.gateway.privacy:Privacy", "_core")
    """Retention, and erasing a person."""

    quarantine: LazyPart[QuarantineService] = LazyPart(
        "sisgate.gateway.quarantine:QuarantineService", "_core"
    )
    """Messages that no worker could handle."""

    fleet: LazyPart[FleetStatus] = LazyPart("sisgate.gateway.fleet:FleetStatus", "_core")
    """Which processes are alive, and metrics."""

    sla: LazyPart[ServiceLevels] = LazyPart("sisgate.gateway.sla:ServiceLevels", "_core")
    """Objectives of providers, and what is left of their error budgets."""

    ledger: LazyPart[Ledger] = LazyPart("sisgate.gateway.ledger:Ledger", "_core")
    """The tables: version and migrations."""

    diagnosis: LazyPart[Diagnosis] = LazyPart(
        "sisgate.gateway.diagnosis.diagnosis:Diagnosis", "_core", "requests"
    )
    """What `sisgate doctor` checks."""

    alerts: LazyPart[Alerts] = LazyPart("sisgate.gateway.alerts:Alerts", "_core")
    """What fires, who looks after it, silences and channels."""

    errors: LazyPart[ErrorPatterns] = LazyPart("sisgate.gateway.errors:ErrorPatterns", "_core")
    """Patterns of errors: what fails how often, and what is fixed."""

    _verdicts: LazyPart[Verdicts] = LazyPart("sisgate.gateway.why:Verdicts", "_core", "jobs")

    transforms: LazyPart[Transforms] = LazyPart("sisgate.gateway.transforms:Transforms", "_core")
    """The rules that change requests and responses."""

    webhooks: LazyPart[Webhooks] = LazyPart("sisgate.gateway.webhooks:Webhooks", "_core")
    """Telling apps what has happened."""

    _disclosures: LazyPart[Disclosures] = LazyPart(
        "sisgate.gateway.disclosure:Disclosures", "_core"
    )

    requests: LazyPart[Requests] = LazyPart(
        "sisgate.gateway.requests:Requests", "_core", "_acceptance", "jobs"
    )
    """One call to a provider, for servers whose callers wait."""

    _syncs: LazyPart[Syncs] = LazyPart(
        "sisgate.gateway.syncs:Syncs", "_core", "_acceptance", "jobs"
    )

    _bulk: LazyPart[Bulk] = LazyPart(
        "sisgate.gateway.bulk:Bulk", "_core", "_acceptance", "jobs", "_syncs", "requests"
    )
