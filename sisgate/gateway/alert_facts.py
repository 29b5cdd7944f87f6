"""Collects what the rules of alerts are judged by."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from sisgate.alerts.facts import AlertFacts, AuditTrouble, PatternNews
from sisgate.audit.heads import reports
from sisgate.domain.error_messages import in_words
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway.core import Core
from sisgate.gateway.missed_syncs import MissedSyncs
from sisgate.gateway.sla import ServiceLevels
from sisgate.gateway.verdict_facts import read_facts
from sisgate.ledger import audit_verifications, error_patterns
from sisgate.monitoring.error_trends import BEFORE, LATELY, is_spike, is_usual
from sisgate.settings.alerts import AlertRule
from sisgate.settings.provider import ProviderConfig
from sisgate.settings.selector import ProviderSelector

BURN_SPANS = (timedelta(hours=1), timedelta(minutes=5))
"""An error budget burns if it does so in both: for long enough, and still."""


NEW_FOR = timedelta(minutes=30)
"""How long an error pattern is new, after it was first seen or has come back."""


def read_alert_facts(
    core: Core,
    rules: Mapping[str, AlertRule],
    providers: Mapping[str, ProviderConfig],
    missed: MissedSyncs,
) -> AlertFacts:
    """Return the facts. What is away is a fact, not an error."""
    fleet = read_facts(core, list(providers), lambda app: app)
    audit: list[AuditTrouble] = []
    if any(rule.audit for rule in rules.values()):
        audit = _of_audit(core)
    burning: Mapping[str, Mapping[str, float]] = {}
    if any(rule.burn_rate for rule in rules.values()):
        with suppress(DatabaseUnavailable):  # an obstacle
            burning = ServiceLevels(core).burn_rates(BURN_SPANS)
    patterns: Mapping[str, Sequence[PatternNews]] = {}
    if any(rule.errors for rule in rules.values()):
        with suppress(DatabaseUnavailable):
            patterns = _patterns(core)
    late = {}
    with suppress(DatabaseUnavailable):
        late = {least: missed.of(least) for rule in rules.values() if (least := rule.missed_for)}
    return AlertFacts(fleet, patterns, burning, audit, late)


def _patterns(core: Core) -> Mapping[str, Sequence[PatternNews]]:
    """Return the patterns that are new, came back, or come far more often, by provider."""
    now = core.clock.now()
    with core.database.read() as session:
        rows = error_patterns.news(session, now - NEW_FOR, now - LATELY)
        counts = error_patterns.counts(session, [row.id for row in rows], now - BEFORE)
        requests = error_patterns.of_requests(session, rows)
        found: defaultdict[str, list[PatternNews]] = defaultdict(list)
        for row in rows:
            begun = max(row.first_seen, row.reopened_at or row.first_seen)
            what = in_words(row.code, row.status, row.message)
            news = PatternNews(row.id, row.provider, what, "new", row.count, row.last_job)
            if begun >= now - NEW_FOR and not is_usual(
                row.code, row.status, of_request=row.id in requests
            ):
                found[row.provider].append(news)
            if is_spike(counts.get(row.id, {}), row.first_seen, row.last_seen, now):
                found[row.provider].append(replace(news, kind="spike"))
        return found


def chosen_by(
    rules: Mapping[str, AlertRule], providers: Mapping[str, ProviderConfig]
) -> Mapping[str, AbstractSet[str]]:
    """Return by rule the providers that it is for."""
    every = frozenset(providers)
    return {
        name: every
        if rule.where == ProviderSelector()
        else frozenset(rule.where.select(providers.values()))
        for name, rule in rules.items()
    }


def _of_audit(core: Core) -> list[AuditTrouble]:
    found = []
    with suppress(DatabaseUnavailable), core.database.read() as session:
        last = audit_verifications.newest(session)
        if last is not None and last.issues:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(last.issues.items()))
            message = f"the audit log is not whole: {kinds}"
            evidence = {"verified_at": last.at.isoformat(), "events": last.events}
            found.append(AuditTrouble("audit log", message, evidence))
    with suppress(BrokerUnavailable):
        for report in reports(core.redis):
            if report.error is not None:
                message = f"{report.host} cannot keep heads of the audit log: {report.error}"
                found.append(AuditTrouble(f"audit heads of {report.host}", message))
    return found
