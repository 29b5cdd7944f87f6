"""The parts of a gateway over HTTP. Those that few apps need are imported on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from sisgate.client.connection import Connection
from sisgate.client.datasets import HttpDatasets
from sisgate.client.jobs import HttpJobs
from sisgate.clock import Clock

if TYPE_CHECKING:
    from sisgate.client.alerts import HttpAlerts
    from sisgate.client.audit import HttpAudit
    from sisgate.client.configuration import HttpConfiguration
    from sisgate.client.error_patterns import HttpErrorPatterns
    from sisgate.client.keys import HttpKeys
    from sisgate.client.operations import (
        HttpDiagnosis,
        HttpFleet,
        HttpQuarantine,
        HttpSchedules,
        HttpTokens,
    )
    from sisgate.client.privacy import HttpPrivacy
    from sisgate.client.providers import HttpProviders
    from sisgate.client.sla import HttpServiceLevels
    from sisgate.client.transforms import HttpTransforms
    from sisgate.client.webhooks import HttpWebhooks


class HttpParts:
    """What a gateway over HTTP consists of: the parts of `Gateway`, on one connection."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self.jobs = HttpJobs(connection, clock)
        self.datasets = HttpDatasets(connection)

    @cached_property
    def providers(self) -> HttpProviders:
        """The configured providers: quota, control, breakers, usage."""
        from sisgate.client.providers import HttpProviders

        return HttpProviders(self._connection)

    @cached_property
    def configuration(self) -> HttpConfiguration:
        """What the fleet shares: its versions, and the one in force."""
        from sisgate.client.configuration import HttpConfiguration

        return HttpConfiguration(self._connection)

    @cached_property
    def keys(self) -> HttpKeys:
        """The keys of providers, and the master keys."""
        from sisgate.client.keys import HttpKeys

        return HttpKeys(self._connection)

    @cached_property
    def tokens(self) -> HttpTokens:
        """Access tokens of apps and people."""
        from sisgate.client.operations import HttpTokens

        return HttpTokens(self._connection)

    @cached_property
    def webhooks(self) -> HttpWebhooks:
        """The webhooks of apps."""
        from sisgate.client.webhooks import HttpWebhooks

        return HttpWebhooks(self._connection)

    @cached_property
    def schedules(self) -> HttpSchedules:
        """What is synced when."""
        from sisgate.client.operations import HttpSchedules

        return HttpSchedules(self._connection, self.jobs)

    @cached_property
    def quarantine(self) -> HttpQuarantine:
        """Messages that no worker could handle."""
        from sisgate.client.operations import HttpQuarantine

        return HttpQuarantine(self._connection)

    @cached_property
    def privacy(self) -> HttpPrivacy:
        """Retention, and erasing a person."""
        from sisgate.client.privacy import HttpPrivacy

        return HttpPrivacy(self._connection)

    @cached_property
    def audit(self) -> HttpAudit:
        """The audit log: reading, verifying, exporting."""
        from sisgate.client.audit import HttpAudit

        return HttpAudit(self._connection)

    @cached_property
    def fleet(self) -> HttpFleet:
        """Which processes are alive, and metrics."""
        from sisgate.client.operations import HttpFleet

        return HttpFleet(self._connection)

    @cached_property
    def alerts(self) -> HttpAlerts:
        """What fires, who looks after it, silences and channels."""
        from sisgate.client.alerts import HttpAlerts

        return HttpAlerts(self._connection)

    @cached_property
    def errors(self) -> HttpErrorPatterns:
        """Patterns of errors: what fails how often, and what is fixed."""
        from sisgate.client.error_patterns import HttpErrorPatterns

        return HttpErrorPatterns(self._connection)

    @cached_property
    def sla(self) -> HttpServiceLevels:
        """Objectives of providers, and what is left of their error budgets."""
        from sisgate.client.sla import HttpServiceLevels

        return HttpServiceLevels(self._connection)

    @cached_property
    def diagnosis(self) -> HttpDiagnosis:
        """What `sisgate doctor` checks."""
        from sisgate.client.operations import HttpDiagnosis

        return HttpDiagnosis(self._connection)

    @cached_property
    def transforms(self) -> HttpTransforms:
        """The rules that change requests and responses."""
        from sisgate.client.transforms import HttpTransforms

        return HttpTransforms(self._connection)
