"""What one rule finds, in the facts of one provider or of the fleet. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import median
from typing import Any

from sisgate.alerts.facts import AlertFacts
from sisgate.domain.alert_states import AlertSeverity
from sisgate.domain.figures import duration
from sisgate.domain.priorities import Priority
from sisgate.domain.recurrence import EPOCH
from sisgate.liveness.obstacles import listed
from sisgate.settings.alerts import AlertMetric, AlertRule
from sisgate.verdict.facts import ProviderFacts
from sisgate.verdict.finding import Certainty, Finding, Severity, Trouble

FLEET = "fleet"
DAY_SECONDS = 86_400.0

UNTOLD = frozenset({"last_failure"})
"""Evidence that is a provider's own text, which may name a person."""

METRICS: Mapping[AlertMetric, str] = {
    "waiting": "calls that wait for {}",
    "oldest_seconds": "seconds that a call has waited for {}",
    "oldest_urgent_seconds": "seconds that an urgent or high call has waited for {}",
    "oldest_normal_seconds": "seconds that a normal call has waited in the queue for {}",
    "failed_share": "share of failed calls of {}",
    "median_seconds": "seconds that half of the calls of {} take",
    "quota_left_share": "share of its quota that {} has left",
    "key_days": "days until a key of {} expires",
}

SEVERITIES = {
    Severity.STOPS: AlertSeverity.CRITICAL,
    Severity.HARMS: AlertSeverity.WARNING,
    Severity.WARNS: AlertSeverity.INFO,
}


@dataclass(frozen=True)
class Condition:
    """One rule that holds for one subject. An `inhibited` one follows from another's."""

    rule: str
    subject: str
    provider: str | None
    severity: AlertSeverity
    cause: str
    culprit: str
    message: str
    remedy: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    inhibited: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What an alert is known by."""
        return self.rule, self.subject


def is_clear(finding: Finding) -> bool:
    """Return whether the evidence says who is at fault."""
    return finding.certainty >= Certainty.LIKELY


def of_findings(
    name: str, rule: AlertRule, subject: str, findings: Sequence[Finding]
) -> Iterator[Condition]:
    """Yield what a rule of causes finds among the findings of a provider or the fleet."""
    for each in findings:
        if each.cause not in rule.causes:
            continue
        is_network = each.cause == Trouble.NETWORK_DOWN
        yield Condition(
            name,
            FLEET if is_network else _subject(subject, each),
            None if is_network else each.provider,
            rule.severity or SEVERITIES[each.severity],
            str(each.cause),
            str(each.party) if is_clear(each) else "unclear",
            each.message if is_clear(each) else f"it is unclear, but perhaps {each.message}",
            each.remedy,
            {name: value for name, value in each.evidence.items() if name not in UNTOLD},
        )


ONE_EACH: Mapping[str, str] = {
    Trouble.SYNC_HELD: "job", Trouble.WEBHOOK_FAILS: "webhook", Trouble.INBOUND_REFUSED: "app",
    Trouble.HOST_DOWN: "host",
}  # fmt: skip
"""Causes with an alert for each of them, and the evidence that tells them apart."""


def _subject(subject: str, finding: Finding) -> str:
    told_apart = ONE_EACH.get(finding.cause)
    return f"{subject} {finding.evidence[told_apart]}" if told_apart else subject


def of_provider(
    name: str, rule: AlertRule, provider: ProviderFacts, facts: AlertFacts
) -> Iterator[Condition]:
    """Yield what a rule of anything but causes finds for a provider."""
    if rule.metric is not None:
        yield from _of_metric(name, rule, provider)
    elif rule.silent_for is not None:
        yield from _of_silence(name, rule, provider)
    elif rule.missed_for is not None:
        yield from _of_missed(name, rule, provider, facts)
    elif rule.burn_rate is not None:
        yield from _of_budgets(name, rule, provider, facts)
    elif rule.errors is not None:
        yield from _of_patterns(name, rule, provider, facts)


def of_audit(name: str, rule: AlertRule, facts: AlertFacts) -> Iterator[Condition]:
    """Yield what is wrong with the audit log, for a rule that asks."""
    for each in facts.audit if rule.audit else ():
        yield Condition(
            name, each.subject, None, rule.severity or AlertSeverity.CRITICAL, "audit", "unclear",
            each.message,
            "`sisgate audit verify` shows what was found; `sisgate doctor` checks where heads are "
            "kept.",
            each.evidence,
        )  # fmt: skip


def _condition(
    name: str, rule: AlertRule, provider: str, cause: str, message: str, **evidence: object
) -> Condition:
    return Condition(
        name, provider, provider, rule.severity or AlertSeverity.WARNING, cause, "unclear",
        message, f"`sisgate why {provider}` says why.", evidence,
    )  # fmt: skip


def _of_metric(name: str, rule: AlertRule, provider: ProviderFacts) -> Iterator[Condition]:
    assert rule.metric is not None
    value = value_of(rule.metric, provider)
    if value is None:
        return
    for side, bound, is_beyond in (
        ("above", rule.above, rule.above is not None and value > rule.above),
        ("below", rule.below, rule.below is not None and value < rule.below),
    ):
        if is_beyond:
            what = METRICS[rule.metric].format(provider.name)
            yield _condition(
                name, rule, provider.name, "metric", f"{what}: {value:g}, {side} {bound:g}",
                metric=rule.metric, value=round(value, 3), bound=bound,
            )  # fmt: skip


def _of_silence(name: str, rule: AlertRule, provider: ProviderFacts) -> Iterator[Condition]:
    assert rule.silent_for is not None
    seconds = rule.silent_for.total_seconds()
    good = next((each.seconds_ago for each in provider.recent if each.succeeded), None)
    called = max((each.seconds_ago for each in provider.recent), default=0.0)
    if called >= seconds and (good is None or good >= seconds):
        message = f"{provider.name} has given no good answer for {duration(good or called)}"
        calls = len(provider.recent)
        yield _condition(name, rule, provider.name, "silent", message, calls=calls)


def _of_missed(
    name: str, rule: AlertRule, provider: ProviderFacts, facts: AlertFacts
) -> Iterator[Condition]:
    assert rule.missed_for is not None
    missed = facts.missed.get(rule.missed_for, {}).get(provider.name, {})
    held = {each.resource for each in provider.held}
    late = {resource: each for resource, each in missed.items() if resource not in held}
    if not late:
        return
    first = min(late.values(), key=lambda each: each.synced_at or EPOCH)
    reads = [each.synced_at for each in late.values() if each.synced_at is not None]

    def ago(moment: datetime) -> str:
        return f"{duration((facts.fleet.at - moment).total_seconds())} ago"

    read = f"last read {ago(min(reads))}" if reads else "never read"
    if 0 < len(reads) < len(late):
        read += " or never"
    message = (
        f"{listed(sorted(late))} of {provider.name} {'was' if len(late) == 1 else 'were'} due "
        f"{ago(first.due)} by schedule {first.schedule}, and {read}"
    )
    cause, datasets = Trouble.DATA_STALE, sorted(late)
    yield _condition(name, rule, provider.name, cause, message, datasets=datasets)


def _of_budgets(
    name: str, rule: AlertRule, provider: ProviderFacts, facts: AlertFacts
) -> Iterator[Condition]:
    assert rule.burn_rate is not None
    for objective, rate in facts.burning.get(provider.name, {}).items():
        if rate >= rule.burn_rate:
            message = (
                f"the error budget of {provider.name} ({objective}) burns {rate:.1f} times too fast"
            )
            found = _condition(
                name, rule, provider.name, "burn_rate", message, objective=objective,
                rate=round(rate, 1),
            )  # fmt: skip
            yield replace(found, subject=f"{provider.name} {objective}")


def _of_patterns(
    name: str, rule: AlertRule, provider: ProviderFacts, facts: AlertFacts
) -> Iterator[Condition]:
    for each in facts.patterns.get(provider.name, ()):
        if each.kind == rule.errors:
            how = "is new" if each.kind == "new" else "comes far more often than it did"
            message = f"an error of {each.provider} {how}: {each.what}"
            found = _condition(
                name, rule, provider.name, "errors", message,
                pattern=each.id, count=each.count, job=each.job,
            )  # fmt: skip
            yield replace(
                found, subject=f"{each.provider} {each.id}",
                remedy=f"`sisgate errors show {each.id}` shows it.",
            )  # fmt: skip


def value_of(metric: AlertMetric, facts: ProviderFacts) -> float | None:
    """Return the value of a metric; None if it is not known."""
    urgent = (int(Priority.URGENT), int(Priority.HIGH))
    match metric:
        case "waiting":
            return float(facts.waiting)
        case "oldest_seconds":
            return max((each.oldest_seconds for each in facts.backlog), default=0.0)
        case "oldest_urgent_seconds":
            ages = (each.oldest.get(p, 0.0) for each in facts.backlog for p in urgent)
            return max(ages, default=0.0)
        case "oldest_normal_seconds":
            queued = (each.queued.get(int(Priority.NORMAL), 0.0) for each in facts.backlog)
            return max(queued, default=0.0)
        case "failed_share":
            calls = len(facts.recent)
            return sum(1 for e in facts.recent if e.failed) / calls if calls else None
        case "median_seconds":
            recent = facts.timing.recent
            return median(each.seconds for each in recent) if recent else None
        case "quota_left_share":
            windows = facts.limiter.windows if facts.limiter and facts.limiter.known else ()
            return min((each.left / each.rate.calls for each in windows), default=None)
        case "key_days":
            left = [e.expires_in_seconds for e in facts.keys if e.expires_in_seconds is not None]
            return min(left) / DAY_SECONDS if left else None
