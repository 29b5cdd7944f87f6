"""`HttpGateway` has the methods of `Gateway`, with the same arguments; none of its own."""

import inspect
from typing import Any

import pytest

from sisgate.access.token_service import TokenService
from sisgate.client import HttpGateway
from sisgate.client.alerts import HttpAlerts
from sisgate.client.audit import HttpAudit
from sisgate.client.configuration import HttpConfiguration
from sisgate.client.datasets import HttpDatasets
from sisgate.client.error_patterns import HttpErrorPatterns
from sisgate.client.jobs import HttpJobs
from sisgate.client.keys import HttpKeys, HttpMasterKeys, HttpProviderKeys
from sisgate.client.operations import (
    HttpDiagnosis,
    HttpFleet,
    HttpQuarantine,
    HttpSchedules,
    HttpTokens,
)
from sisgate.client.privacy import HttpPrivacy, HttpRetention
from sisgate.client.providers import HttpBreakers, HttpControl, HttpProviders
from sisgate.client.sla import HttpServiceLevels
from sisgate.client.transforms import HttpTransforms
from sisgate.client.webhooks import HttpWebhooks
from sisgate.gateway import Gateway
from sisgate.gateway.alerts import Alerts
from sisgate.gateway.audit import AuditLog
from sisgate.gateway.breakers import ProviderBreakers
from sisgate.gateway.configuration import Configuration
from sisgate.gateway.control import ProviderControl
from sisgate.gateway.datasets import Datasets
from sisgate.gateway.diagnosis.diagnosis import Diagnosis
from sisgate.gateway.errors import ErrorPatterns
from sisgate.gateway.fleet import FleetStatus
from sisgate.gateway.jobs import Jobs
from sisgate.gateway.keys import Keys, ProviderKeys
from sisgate.gateway.master_keys import MasterKeys
from sisgate.gateway.privacy import Privacy
from sisgate.gateway.providers import Providers
from sisgate.gateway.quarantine import QuarantineService
from sisgate.gateway.schedules import Schedules
from sisgate.gateway.sla import ServiceLevels
from sisgate.gateway.transforms import Transforms
from sisgate.gateway.webhooks import Webhooks
from sisgate.privacy.retention import Retention

TWINS: list[tuple[type, type]] = [
    (Gateway, HttpGateway),
    (Jobs, HttpJobs),
    (Datasets, HttpDatasets),
    (Providers, HttpProviders),
    (ProviderControl, HttpControl),
    (ProviderBreakers, HttpBreakers),
    (Configuration, HttpConfiguration),
    (Keys, HttpKeys),
    (ProviderKeys, HttpProviderKeys),
    (MasterKeys, HttpMasterKeys),
    (TokenService, HttpTokens),
    (Schedules, HttpSchedules),
    (Webhooks, HttpWebhooks),
    (QuarantineService, HttpQuarantine),
    (Privacy, HttpPrivacy),
    (Retention, HttpRetention),
    (AuditLog, HttpAudit),
    (FleetStatus, HttpFleet),
    (Diagnosis, HttpDiagnosis),
    (Transforms, HttpTransforms),
    (Alerts, HttpAlerts),
    (ErrorPatterns, HttpErrorPatterns),
    (ServiceLevels, HttpServiceLevels),
]
"""Each part, and its twin over HTTP."""

OWN = {"enqueue_and_wait", "job_of"}
"""What other modules of the client use of a twin."""

FOR_APPS = {
    "why", "sync", "request", "enqueue_request", "enqueue", "sync_many", "job", "answer", "plan",
    "records", "changes", "close", "from_env",
}  # fmt: skip


def names(kind: type) -> set[str]:
    """The public names of a class, and of what its instances have from the start."""
    return {name for name in dir(kind) if not name.startswith("_")}


def is_method(value: object) -> bool:
    """Whether a member of a class is a method of its own, or of the class."""
    return inspect.isfunction(value) or inspect.ismethod(value)


def test_what_apps_do_is_there() -> None:
    """All that the facade has for them."""
    assert names(HttpGateway) >= FOR_APPS
    administration = {"acting_as", "for_token", "for_session", "on"}
    methods = {name for name, _ in inspect.getmembers(Gateway, is_method) if name[0] != "_"}
    assert methods - administration == FOR_APPS


@pytest.mark.parametrize(("kind", "twin"), TWINS)
def test_twins_have_no_method_of_their_own(kind: type, twin: type) -> None:
    """Whoever changes from one gateway to the other finds the same."""
    given = {"holds_now", "jobs", "datasets", "retention"}
    assert names(twin) - names(kind) - given - OWN == set()


def test_nothing_else_is_missing_over_http() -> None:
    """A new method of a part gets its twin, or a reason here."""
    missing = {
        (kind.__name__, name) for kind, twin in TWINS for name in names(kind) - names(twin)
    } - {("Gateway", "jobs"), ("Gateway", "datasets"), ("Privacy", "retention")}
    assert missing == {(kind, name) for kind, absent in ABSENT.items() for name in absent}


ABSENT = {
    # The service and its sessions: who asks is the token's owner.
    "Gateway": {"acting_as", "for_session", "for_token", "on", "sessions", "requests", "ledger"},
    "TokenService": {"authenticate"},
    # The values of the configuration and of this machine.
    "Configuration": {"current"},
    "Providers": {"get"},
    "Alerts": {"config", "evaluate"},
    "MasterKeys": {"check_ledger", "forget", "give_up", "make", "renew"},
    "AuditLog": {"archive", "keys", "new_key"},
    "FleetStatus": {"readiness"},
    # What workers and screens do with others' help.
    "Jobs": {"of_call", "refuse"},
    "Datasets": {"rosters"},
    "ProviderControl": {"limits", "outlook"},
    "Schedules": {"run_due"},
    "ServiceLevels": {"burn_rates"},
}
"""What /v1 does not have, by part."""


@pytest.mark.parametrize(("kind", "twin"), TWINS)
def test_twins_take_the_same_arguments(kind: type, twin: type) -> None:
    """By the same names, with the same defaults; an actor is optional, as the token names it."""

    def arguments(method: Any) -> dict[str, tuple[object, object]]:
        return {
            each.name: (each.kind, not callable(each.default) and each.default)
            for each in inspect.signature(method).parameters.values()
            if each.name != "actor"
        }

    for name in names(kind) & names(twin):
        method = getattr(twin, name)
        if inspect.isfunction(method) and (twin.__name__, name) not in DIFFERENT:
            assert arguments(method) == arguments(getattr(kind, name)), name


DIFFERENT = {
    ("HttpRetention", "run")  # by seconds, and without a report of progress
}
