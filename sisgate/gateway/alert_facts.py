"""Collects what the rules of alerts are judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from sisgate.alerts.conditions import AlertFacts
from sisgate.audit.heads import reports
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway.core import Core
from sisgate.gateway.sla import ServiceLevels
from sisgate.gateway.verdict_facts import read_facts
from sisgate.settings.alerts import AlertRule
from sisgate.settings.provider import ProviderConfig

BURN_SPANS = (timedelta(hours=1), timedelta(minutes=5))
"""An error budget burns if it does so in both: for long enough, and still."""


def read_alert_facts(
    core: Core, rules: Mapping[str, AlertRule], providers: Mapping[str, ProviderConfig]
) -> AlertFacts:
    """Return the facts. What is away is a fact, not an error."""
    fleet = read_facts(core, list(providers.values()), lambda app: app)
    audit: list[str] = []
    if any(rule.audit for rule in rules.values()):
        audit = _of_audit(core)
    burning: Mapping[str, Mapping[str, float]] = {}
    if any(rule.burn_rate for rule in rules.values()):
        with suppress(DatabaseUnavailable):  # an obstacle
            burning = ServiceLevels(core).burn_rates(BURN_SPANS)
    return AlertFacts(fleet, burning=burning, audit=audit)


def chosen_by(
    rules: Mapping[str, AlertRule], providers: Mapping[str, ProviderConfig]
) -> Mapping[str, Sequence[str]]:
    """Return by rule the providers that it is for."""
    return {name: rule.where.select(providers.values()) for name, rule in rules.items()}


def _of_audit(core: Core) -> list[str]:
    with suppress(BrokerUnavailable):
        failed = [each for each in reports(core.redis) if each.error is not None]
        return [f"{e.host} cannot keep heads of the audit log: {e.error}" for e in failed]
    return []
