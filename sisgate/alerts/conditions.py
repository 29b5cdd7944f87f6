"""Which rules hold at a moment, and for what: from the facts of the verdict. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from sisgate.domain.alert_states import AlertSeverity
from sisgate.domain.figures import duration
from sisgate.domain.priorities import Priority
from sisgate.settings.alerts import AlertMetric, AlertRule
from sisgate.verdict.facts import FleetFacts, ProviderFacts
from sisgate.verdict.finding import Certainty, Finding, Severity, Trouble
from sisgate.verdict.holds import of_obstacle
from sisgate.verdict.judgement import findings_of

FLEET = "fleet"
DAY_SECONDS = 86_400.0

BLINDING = frozenset(
    {"redis_unreachable", "redis_refuses_writes", "ledger_unreachable", "schema_behind"}
)
"""Causes during which nothing else is known: other alerts stay as they are."""

HOLDING = frozenset(
    {
        Trouble.PAUSED, Trouble.BREAKER_BY_HAND, Trouble.PROVIDER_DOWN,
        Trouble.PROVIDER_UNREACHABLE, Trouble.NETWORK_DOWN, Trouble.TOKENS_FAIL,
        Trouble.KEY_REFUSED, "not_set_up", "key_missing",
        "master_key_missing", "worker_missing",
    }
)  # fmt: skip
"""Causes that explain why a provider's data and work are late, so that nothing else says so."""

CONSEQUENCES = frozenset(
    {
        Trouble.QUOTA_SPENT, Trouble.APP_FLOOD, Trouble.DATA_STALE, Trouble.PROVIDER_SLOW,
        Trouble.WORKERS_BUSY, "metric", "silent", "burn_rate", "errors",
    }
)  # fmt: skip
"""Causes that follow from those."""

UNTOLD = frozenset({"last_failure"})
"""Evidence that is a provider's own text, which may name a person."""

SPENT = frozenset({Trouble.QUOTA_SPENT, Trouble.LIMIT_BY_HAND, Trouble.APP_FLOOD})
"""Causes that explain why calls wait."""

WAITS = frozenset({"waiting", "oldest_seconds", "oldest_urgent_seconds"})
"""Metrics of work that waits."""

METRICS: Mapping[AlertMetric, str] = {
    "waiting": "calls that wait for {}",
    "oldest_seconds": "seconds that a call has waited for {}",
    "oldest_urgent_seconds": "seconds that an urgent or high call has waited for {}",
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
class PatternNews:
    """An error pattern that is new, came back, or comes far more often than it did."""

    id: str
    provider: str
    what: str
    kind: str
    count: int
    job: str | None = None


@dataclass(frozen=True)
class AlertFacts:
    """What rules are judged by: the facts of a verdict, and what else rules ask for.

    `burning` are by provider the objectives whose budget burns, with the rate. `audit` is what is
    wrong with the audit log.
    """

    fleet: FleetFacts
    patterns: Sequence[PatternNews] = ()
    burning: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    audit: Sequence[str] = ()


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


@dataclass(frozen=True)
class Conditions:
    """All that hold at a moment. `is_blind`: the rest could not be judged.

    `hidden` are the providers that nothing is known of, because the network is down.
    """

    found: Sequence[Condition] = ()
    is_blind: bool = False
    hidden: AbstractSet[str] = frozenset()

    def hide(self, provider: str | None) -> bool:
        """Return whether a condition of a provider that was not found may hold all the same."""
        return self.is_blind or provider in self.hidden


def conditions_of(
    rules: Mapping[str, AlertRule], facts: AlertFacts, chosen: Mapping[str, Sequence[str]]
) -> Conditions:
    """Return the conditions that hold; `chosen` are by rule the providers that it is for."""
    fleet = facts.fleet
    general = [of_obstacle(each) for each in fleet.obstacles if each.provider is None]
    is_blind = any(each.cause in BLINDING for each in general)
    found = [c for name, rule in rules.items() for c in _of_findings(name, rule, FLEET, general)]
    if is_blind:
        return Conditions([each for each in found if each.cause in BLINDING], is_blind=True)
    hidden: set[str] = set()
    for provider in fleet.providers:
        own = _without_doubles(findings_of(provider, fleet))
        if any(each.cause == Trouble.NETWORK_DOWN and _is_clear(each) for each in own):
            hidden.add(provider.name)
        shared = {(each.cause, each.party) for each in general}
        own = [each for each in own if (each.cause, each.party) not in shared]
        of_provider = [
            condition
            for name, rule in rules.items()
            if provider.name in chosen.get(name, ())
            for condition in _of_provider(name, rule, provider, own, facts)
        ]
        found += _inhibited(own, of_provider)
    for name, rule in rules.items():
        found += _of_fleet(name, rule, facts)
    return Conditions(_once(found), hidden=hidden)


def _is_clear(finding: Finding) -> bool:
    return finding.certainty >= Certainty.LIKELY


def _without_doubles(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings with those that are two guesses at one outage as one."""
    guesses = [
        each
        for each in findings
        if each.cause in {Trouble.PROVIDER_UNREACHABLE, Trouble.NETWORK_DOWN}
        and not _is_clear(each)
    ]
    if len(guesses) < 2:
        return list(findings)
    message = ", or ".join(each.message for each in guesses)
    first = next(e for e in guesses if e.cause == Trouble.PROVIDER_UNREACHABLE)
    others = [each for each in findings if each not in guesses]
    return [replace(first, message=message), *others]


def _of_findings(
    name: str, rule: AlertRule, subject: str, findings: Sequence[Finding]
) -> Iterator[Condition]:
    for each in findings:
        if each.cause not in rule.causes:
            continue
        is_unclear = not _is_clear(each)
        is_network = each.cause == Trouble.NETWORK_DOWN
        yield Condition(
            name,
            FLEET if is_network else _subject(subject, each),
            None if is_network else each.provider,
            rule.severity or SEVERITIES[each.severity],
            str(each.cause),
            "unclear" if is_unclear else str(each.party),
            f"it is unclear, but perhaps {each.message}" if is_unclear else each.message,
            each.remedy,
            {name: value for name, value in each.evidence.items() if name not in UNTOLD},
        )


def _subject(subject: str, finding: Finding) -> str:
    return f"{subject} {finding.evidence['job']}" if finding.cause == "sync_held" else subject


def _of_provider(
    name: str,
    rule: AlertRule,
    provider: ProviderFacts,
    findings: Sequence[Finding],
    facts: AlertFacts,
) -> Iterator[Condition]:
    yield from _of_findings(name, rule, provider.name, findings)
    yield from _of_patterns(name, rule, provider.name, facts)

    def condition(cause: str, message: str, remedy: str, **evidence: object) -> Condition:
        return Condition(
            name, provider.name, provider.name, rule.severity or AlertSeverity.WARNING, cause,
            f"provider {provider.name}", message, remedy, evidence,
        )  # fmt: skip

    why = f"`sisgate why {provider.name}` says why."
    if rule.metric is not None:
        value = value_of(rule.metric, provider)
        bound = rule.above if rule.above is not None else rule.below
        if value is not None and bound is not None and _is_beyond(rule, value):
            side = "above" if rule.above is not None else "below"
            what = METRICS[rule.metric].format(provider.name)
            yield condition(
                "metric", f"{what}: {value:g}, {side} {bound:g}", why,
                metric=rule.metric, value=round(value, 3), bound=bound,
            )  # fmt: skip
    if rule.silent_for is not None:
        seconds = rule.silent_for.total_seconds()
        good = next((each.seconds_ago for each in provider.recent if each.succeeded), None)
        called = max((each.seconds_ago for each in provider.recent), default=0.0)
        if called >= seconds and (good is None or good >= seconds):
            message = f"{provider.name} has given no good answer for {duration(good or called)}"
            yield condition("silent", message, why, calls=len(provider.recent))
    if rule.burn_rate is not None:
        for objective, rate in facts.burning.get(provider.name, {}).items():
            if rate >= rule.burn_rate:
                message = (
                    f"the error budget of {provider.name} ({objective}) burns {rate:.1f} times too "
                    "fast"
                )
                yield condition("burn_rate", message, why, objective=objective, rate=rate)


def _of_patterns(
    name: str, rule: AlertRule, provider: str, facts: AlertFacts
) -> Iterator[Condition]:
    for each in facts.patterns:
        if each.kind != rule.errors or each.provider != provider:
            continue
        how = "is new" if each.kind == "new" else "comes far more often than it did"
        yield Condition(
            name, f"{each.provider} {each.id}", each.provider,
            rule.severity or AlertSeverity.WARNING, "errors", "unclear",
            f"an error of {each.provider} {how}: {each.what}",
            f"`sisgate errors show {each.id}` shows it.",
            {"pattern": each.id, "count": each.count, "job": each.job},
        )  # fmt: skip


def _of_fleet(name: str, rule: AlertRule, facts: AlertFacts) -> Iterator[Condition]:
    if rule.audit:
        for what in facts.audit:
            yield Condition(
                name, "audit log", None, rule.severity or AlertSeverity.CRITICAL, "audit",
                "unclear",
                what, "`sisgate audit verify` shows what was found; `sisgate doctor` checks where "
                "heads are kept.",
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
        case "failed_share":
            calls = len(facts.recent)
            return sum(1 for e in facts.recent if e.failed) / calls if calls else None
        case "median_seconds":
            return median(facts.timing.recent) if facts.timing.recent else None
        case "quota_left_share":
            windows = facts.limiter.windows if facts.limiter and facts.limiter.known else ()
            return min((each.left / each.rate.calls for each in windows), default=None)
        case "key_days":
            left = [e.expires_in_seconds for e in facts.keys if e.expires_in_seconds is not None]
            return min(left) / DAY_SECONDS if left else None


def _is_beyond(rule: AlertRule, value: float) -> bool:
    if rule.above is not None:
        return value > rule.above
    return rule.below is not None and value < rule.below


def _inhibited(own: Sequence[Finding], conditions: Sequence[Condition]) -> Iterator[Condition]:
    """Yield conditions, marking those that follow from a cause which holds the provider."""
    holds = any(
        each.cause in HOLDING and each.severity is Severity.STOPS for each in own
    ) or any(each.cause == Trouble.NETWORK_DOWN for each in own)  # fmt: skip
    is_spent = any(each.cause in SPENT for each in own)
    for each in conditions:
        is_consequence = holds and each.cause in CONSEQUENCES
        if each.cause == "metric" and each.evidence["metric"] in WAITS:
            is_consequence = is_consequence or is_spent
        yield replace(each, inhibited=True) if is_consequence else each


def _once(conditions: Sequence[Condition]) -> list[Condition]:
    """Return one condition for each rule and subject, the first: the worst."""
    found: dict[tuple[str, str], Condition] = {}
    for each in conditions:
        found.setdefault(each.key, each)
    return list(found.values())
