"""The parts of a gateway. Each is imported on first use: most apps need only a few of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

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

    @cached_property
    def datasets(self) -> Datasets:
        """Records, changes, and the cursor of a dataset."""
        from sisgate.gateway.datasets import Datasets

        return Datasets(self._core, self._disclosures)

    @cached_property
    def schedules(self) -> Schedules:
        """What is synced when."""
        from sisgate.gateway.schedules import Schedules

        return Schedules(self._core, self._bulk, self.datasets)

    @cached_property
    def _many_syncs(self) -> ManySyncs:
        from sisgate.gateway.many_syncs import ManySyncs

        return ManySyncs(self._core, self._bulk, self.datasets)

    @cached_property
    def configuration(self) -> Configuration:
        """What the fleet shares: its versions, and the one in force."""
        from sisgate.gateway.configuration import Configuration

        return Configuration(self._core)

    @cached_property
    def providers(self) -> Providers:
        """The configured providers: quota, control, breakers, usage."""
        from sisgate.gateway.providers import Providers

        return Providers(self._core)

    @cached_property
    def keys(self) -> Keys:
        """The keys of providers, and the master keys."""
        from sisgate.gateway.keys import Keys

        return Keys(self._core)

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

    @cached_property
    def audit(self) -> AuditLog:
        """The audit log: reading, verifying, exporting."""
        from sisgate.gateway.audit import AuditLog

        return AuditLog(self._core)

    @cached_property
    def privacy(self) -> Privacy:
        """Retention, and erasing a person."""
        from sisgate.gateway.privacy import Privacy

        return Privacy(self._core)

    @cached_property
    def quarantine(self) -> QuarantineService:
        """Messages that no worker could handle."""
        from sisgate.gateway.quarantine import QuarantineService

        return QuarantineService(self._core)

    @cached_property
    def fleet(self) -> FleetStatus:
        """Which processes are alive, and metrics."""
        from sisgate.gateway.fleet import FleetStatus

        return FleetStatus(self._core)

    @cached_property
    def sla(self) -> ServiceLevels:
        """Objectives of providers, and what is left of their error budgets."""
        from sisgate.gateway.sla import ServiceLevels

        return ServiceLevels(self._core)

    @cached_property
    def ledger(self) -> Ledger:
        """The tables: version and migrations."""
        from sisgate.gateway.ledger import Ledger

        return Ledger(self._core)

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """What `sisgate doctor` checks."""
        from sisgate.gateway.diagnosis.diagnosis import Diagnosis

        return Diagnosis(self._core, self.requests)

    @cached_property
    def alerts(self) -> Alerts:
        """What fires, who looks after it, silences and channels."""
        from sisgate.gateway.alerts import Alerts

        return Alerts(self._core)

    @cached_property
    def errors(self) -> ErrorPatterns:
        """Patterns of errors: what fails how often, and what is fixed."""
        from sisgate.gateway.errors import ErrorPatterns

        return ErrorPatterns(self._core)

    @cached_property
    def _verdicts(self) -> Verdicts:
        from sisgate.gateway.why import Verdicts

        return Verdicts(self._core, self.jobs)

    @cached_property
    def transforms(self) -> Transforms:
        """The rules that change requests and responses."""
        from sisgate.gateway.transforms import Transforms

        return Transforms(self._core)

    @cached_property
    def webhooks(self) -> Webhooks:
        """Telling apps what has happened."""
        from sisgate.gateway.webhooks import Webhooks

        return Webhooks(self._core)

    @cached_property
    def _disclosures(self) -> Disclosures:
        from sisgate.gateway.disclosure import Disclosures

        return Disclosures(self._core)

    @cached_property
    def requests(self) -> Requests:
        """One call to a provider, for servers whose callers wait."""
        from sisgate.gateway.requests import Requests

        return Requests(self._core, self._acceptance, self.jobs)

    @cached_property
    def _syncs(self) -> Syncs:
        from sisgate.gateway.syncs import Syncs

        return Syncs(self._core, self._acceptance, self.jobs)

    @cached_property
    def _bulk(self) -> Bulk:
        from sisgate.gateway.bulk import Bulk

        return Bulk(self._core, self._acceptance, self.jobs, self._syncs, self.requests)
