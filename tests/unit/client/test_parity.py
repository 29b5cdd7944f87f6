"""`HttpGateway` has the methods of `Gateway`, with the same arguments; what it lacks is named."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from sisgate.access.token_service import TokenService
from sisgate.client import HttpGateway
from sisgate.client.configuration import HttpConfiguration
from sisgate.client.datasets import HttpDatasets
from sisgate.client.jobs import HttpJobs
from sisgate.client.keys import HttpKeys, HttpProviderKeys
from sisgate.client.operations import (
    HttpAudit,
    HttpFleet,
    HttpPrivacy,
    HttpQuarantine,
    HttpRetention,
    HttpSchedules,
    HttpTokens,
)
from sisgate.client.providers import HttpBreakers, HttpControl, HttpProviders
from sisgate.gateway import Gateway
from sisgate.gateway.audit import AuditLog
from sisgate.gateway.breakers import ProviderBreakers
from sisgate.gateway.configuration import Configuration
from sisgate.gateway.control import ProviderControl
from sisgate.gateway.datasets import Datasets
from sisgate.gateway.fleet import FleetStatus
from sisgate.gateway.jobs import Jobs
from sisgate.gateway.keys import Keys, ProviderKeys
from sisgate.gateway.privacy import Privacy
from sisgate.gateway.providers import Providers
from sisgate.gateway.quarantine import QuarantineService
from sisgate.gateway.schedules import Schedules
from sisgate.privacy.retention import Retention

PAIRS: list[tuple[type, type, set[str]]] = [
    (Gateway, HttpGateway, {
        "acting_as", "diagnosis", "for_token", "ledger", "on", "requests", "sync_many",
        "transforms",
    }),
    (Jobs, HttpJobs, {"refuse", "why_unanswered"}),
    (Datasets, HttpDatasets, {"absent", "begin_feeds_anew", "check", "roster", "rosters"}),
    (Providers, HttpProviders, {"get"}),
    (ProviderControl, HttpControl, {"exceeds_configured", "limits", "outlook", "state"}),
    (ProviderBreakers, HttpBreakers, {"counts", "standings"}),
    (Configuration, HttpConfiguration, {
        "check", "current", "diff", "plan_edit", "plan_provider", "plan_removal",
        "plan_renamed_endpoint", "purge",
    }),
    (Keys, HttpKeys, {"master"}),
    (ProviderKeys, HttpProviderKeys, set()),
    (TokenService, HttpTokens, {"authenticate"}),
    (Schedules, HttpSchedules, {"get", "run_due"}),
    (QuarantineService, HttpQuarantine, {"content"}),
    (Privacy, HttpPrivacy, {"erase", "lift", "pseudonyms"}),
    (Retention, HttpRetention, set()),
    (AuditLog, HttpAudit, {
        "archive", "disclosures", "export", "follow", "head", "keys", "new_key", "public_keys",
        "seal", "sealed_events", "verify", "verify_export",
    }),
    (FleetStatus, HttpFleet, {"metrics", "readiness"}),
]  # fmt: skip
"""Each part, its twin over HTTP, and what needs the machine, the database or has no route."""


def names(kind: type) -> set[str]:
    """The public names of a class, and of what its instances have from the start."""
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize(("kind", "twin", "missing"), PAIRS)
def test_what_is_missing_over_http_is_known(kind: type, twin: type, missing: set[str]) -> None:
    """A new method of a part gets a twin, or is named above."""
    made_at_start = {"jobs", "datasets", "retention"}
    assert names(kind) - names(twin) - made_at_start == missing


@pytest.mark.parametrize(("kind", "twin", "missing"), PAIRS)
def test_twins_take_the_same_arguments(kind: type, twin: type, missing: set[str]) -> None:
    """By the same names, with the same defaults; an actor is optional, as the token names it."""

    def arguments(method: Any) -> dict[str, tuple[object, object]]:
        return {
            each.name: (each.kind, each.default)
            for each in inspect.signature(method).parameters.values()
            if each.name != "actor"
        }

    different = {
        ("HttpConfiguration", "apply"), ("HttpFleet", "liveness"), ("HttpRetention", "run"),
        ("HttpGateway", "from_env"),
    }  # fmt: skip
    for name in names(kind) & names(twin):
        method = getattr(twin, name)
        if inspect.isfunction(method) and (twin.__name__, name) not in different:
            assert arguments(method) == arguments(getattr(kind, name)), name
