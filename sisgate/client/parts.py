"""The parts of a gateway over HTTP. Those that few apps need are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sisgate.client.connection import Connection
from sisgate.client.datasets import HttpDatasets
from sisgate.client.jobs import HttpJobs
from sisgate.clock import Clock
from sisgate.start_up import LazyPart

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
        self._clock = clock
        self.jobs = HttpJobs(connection, clock)
        self.datasets = HttpDatasets(connection)

    providers: LazyPart[HttpProviders] = LazyPart(
        "sisgate.client.providers:HttpProviders", "_connection"
    )
    """The configured providers: quota, control, breakers, usage."""

    configuration: LazyPart[HttpConfiguration] = LazyPart(
        "sisgate.client.configuration:HttpConfiguration", "_connection"
    )
    """What the fleet shares: its versions, and the one in force."""

    keys: LazyPart[HttpKeys] = LazyPart("sisgate.client.keys:HttpKeys", "_connection")
    """The keys of providers, and the master keys."""

    tokens: LazyPart[HttpTokens] = LazyPart("sisgate.client.operations:HttpTokens", "_connection")
    """Access tokens of apps and people."""

    webhooks: LazyPart[HttpWebhooks] = LazyPart(
        "sisgate.client.webhooks:HttpWebhooks", "_connection"
    )
    """The webhooks of apps."""

    schedules: LazyPart[HttpSchedules] = LazyPart(
        "sisgate.client.operations:HttpSchedules", "_connection", "jobs"
    )
    """What is synced when."""

    quarantine: LazyPart[HttpQuarantine] = LazyPart(
        "sisgate.client.operations:HttpQuarantine", "_connection"
    )
    """Messages that no worker could handle."""

    privacy: LazyPart[HttpPrivacy] = LazyPart("sisgate.client.privacy:HttpPrivacy", "_connection")
    """Retention, and erasing a person."""

    audit: LazyPart[HttpAudit] = LazyPart("sisgate.client.audit:HttpAudit", "_connection", "_clock")
    """The audit log: reading, verifying, exporting."""

    fleet: LazyPart[HttpFleet] = LazyPart("sisgate.client.operations:HttpFleet", "_connection")
    """Which processes are alive, and metrics."""

    alerts: LazyPart[HttpAlerts] = LazyPart("sisgate.client.alerts:HttpAlerts", "_connection")
    """What fires, who looks after it, silences and channels."""

    errors: LazyPart[HttpErrorPatterns] = LazyPart(
        "sisgate.client.error_patterns:HttpErrorPatterns", "_connection"
    )
    """Patterns of errors: what fails how often, and what is fixed."""

    sla: LazyPart[HttpServiceLevels] = LazyPart(
        "sisgate.client.sla:HttpServiceLevels", "_connection"
    )
    """Objectives of providers, and what is left of their error budgets."""

    diagnosis: LazyPart[HttpDiagnosis] = LazyPart(
        "sisgate.client.operations:HttpDiagnosis", "_connection"
    )
    """What `sisgate doctor` checks."""

    transforms: LazyPart[HttpTransforms] = LazyPart(
        "sisgate.client.transforms:HttpTransforms", "_connection"
    )
    """The rules that change requests and responses."""
