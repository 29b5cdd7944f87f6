"""Collects what the rules of alerts are judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from sisgate.alerts.conditions import AlertFacts, PatternNews
from sisgate.audit.heads import reports
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway.core import Core
from sisgate.gateway.sla import ServiceLevels
from sisgate.gateway.verdict_facts import read_facts
from sisgate.ledger import error_patterns
from sisgate.monitoring.error_trends import BEFORE, LATELY, is_spike
from sisgate.settings.alerts import AlertRule
from sisgate.settings.provider import ProviderConfig

BURN_SPANS = (timedelta(hours=1), timedelta(minutes=5))
"""An error budget burns if it does so in both: for long enough, and still."""


NEW_FOR = timedelta(minutes=30)
"""How long an error pattern is new, after it was first seen or has come back."""


def read_alert_facts(
    core: Core, rules: Mapping[str, AlertRule], providers: Mapping[str, ProviderConfig]
) -> AlertFacts:
    """Return the facts. What is away is a fact, not an error."""
    fleet = read_facts(core, list(providers), lambda app: app)
    audit: list[str] = []
    if any(rule.audit for rule in rules.values()):
        audit = _of_audit(core)
    burning: Mapping[str, Mapping[str, float]] = {}
    if any(rule.burn_rate for rule in rules.values()):
        with suppress(DatabaseUnavailable):  # an obstacle
            burning = ServiceLevels(core).burn_rates(BURN_SPANS)
    patterns: Sequence[PatternNews] = ()
    if any(rule.errors for rule in rules.values()):
        with suppress(DatabaseUnavailable):
            patterns = _patterns(core)
    return AlertFacts(fleet, patterns, burning, audit)


def _patterns(core: Core) -> list[PatternNews]:
    """Return the patterns that are new, came back, or come far more often than they did."""
    now = core.clock.now()
    with core.database.read() as session:
        rows = error_patterns.news(session, now - NEW_FOR, now - LATELY)
        counts = error_patterns.counts(session, [row.id for row in rows], now - BEFORE)
        found = []
        for row in rows:
            begun = max(row.first_seen, row.reopened_at or row.first_seen)
            what = f"{row.code} {row.status or ''}".strip() + f", {row.message}"
            news = PatternNews(row.id, row.provider, what, "new", row.count, row.last_job)
            if begun >= now - NEW_FOR:
                found.append(news)
            if is_spike(counts.get(row.id, {}), row.first_seen, now):
                found.append(replace(news, kind="spike"))
        return found


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
