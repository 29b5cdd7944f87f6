"""Which rules hold at a moment, and for what: from the facts of the verdict. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from sisgate.alerts.facts import AlertFacts
from sisgate.alerts.rules import FLEET, Condition, is_clear, of_audit, of_findings, of_provider
from sisgate.liveness.obstacles import PERIODIC_CAUSES
from sisgate.settings.alerts import AlertRule
from sisgate.verdict import neglect
from sisgate.verdict.doubts import HOSTED, of_hosts
from sisgate.verdict.facts import ProviderFacts
from sisgate.verdict.finding import Finding, Severity, Trouble
from sisgate.verdict.holds import of_obstacle
from sisgate.verdict.judgement import OUTAGES, findings_of

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
        Trouble.WORKERS_BUSY, Trouble.DATASET_FAILS, "metric", "silent", "burn_rate", "errors",
    }
)  # fmt: skip
"""Causes that follow from those."""

SPENT = frozenset({Trouble.QUOTA_SPENT, Trouble.LIMIT_BY_HAND, Trouble.APP_FLOOD})
"""Causes that explain why calls wait."""

WAITS = frozenset({"waiting", "oldest_seconds", "oldest_urgent_seconds", "oldest_normal_seconds"})
"""Metrics of work that waits."""


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
    rules: Mapping[str, AlertRule], facts: AlertFacts, chosen: Mapping[str, AbstractSet[str]]
) -> Conditions:
    """Return the conditions that hold; `chosen` are by rule the providers that it is for."""
    fleet = facts.fleet
    general = [of_obstacle(each) for each in fleet.obstacles if each.provider is None]
    general += neglect.of_everybody(fleet)
    found = [c for name, rule in rules.items() for c in of_findings(name, rule, FLEET, general)]
    found += [c for name, rule in rules.items() for c in of_audit(name, rule, facts)]
    if any(each.cause in BLINDING for each in general):
        told = [each for each in found if each.cause in {*BLINDING, "audit"}]
        return Conditions(_once(told), is_blind=True)
    is_scheduled = not any(each.cause in PERIODIC_CAUSES for each in general)
    shared = {(each.cause, each.party) for each in general}
    by_causes = {name: rule for name, rule in rules.items() if rule.causes}
    others = {name: rule for name, rule in rules.items() if not (rule.causes or rule.audit)}
    hidden: set[str] = set()
    theirs: list[Finding] = []
    for provider in fleet.providers:
        own = [
            each
            for each in without_doubles(findings_of(provider, fleet))
            if (each.cause, each.party) not in shared
        ]
        if any(each.cause == Trouble.NETWORK_DOWN and is_clear(each) for each in own):
            hidden.add(provider.name)
        theirs += own
        of_it = [
            condition
            for name, rule in by_causes.items()
            if own and provider.name in chosen[name]
            for condition in of_findings(name, rule, provider.name, own)
        ]
        for name, rule in others.items():
            if provider.name in chosen[name]:
                of_it += of_provider(name, rule, provider, facts)
        of_it = [
            replace(each, inhibited=True) if _drains(each, rules[each.rule], provider) else each
            for each in of_it
        ]
        found += _inhibited(own, of_it, is_scheduled=is_scheduled)
    found = list(_by_host(found, of_hosts(theirs, fleet), by_causes, chosen))
    return Conditions(_once(found), hidden=hidden)


def _by_host(
    found: Sequence[Condition],
    hosts: Sequence[Finding],
    rules: Mapping[str, AlertRule],
    chosen: Mapping[str, AbstractSet[str]],
) -> Iterator[Condition]:
    """Yield conditions, first that a host is down: what it does to its providers follows from it.

    It counts them, since not everybody who sees it may see each of them.
    """
    follows: set[tuple[str, str | None]] = set()
    for host in hosts:
        name, providers = host.evidence["host"], frozenset(host.evidence["providers"])
        for rule_name, rule in rules.items():
            meant = providers & chosen[rule_name]
            if Trouble.HOST_DOWN not in rule.causes or len(meant) < 2:
                continue
            follows |= {(rule_name, each) for each in meant}
            told = replace(
                host,
                message=f"{name}, the host of {len(meant)} providers, fails for all of them",
                remedy=f"{host.remedy} `sisgate why` names them.",
                evidence={"host": name, "providers": len(meant)},
            )
            yield from of_findings(rule_name, rule, FLEET, [told])
    for each in found:
        is_of_host = (each.rule, each.provider) in follows and each.cause in HOSTED
        yield replace(each, inhibited=True) if is_of_host else each


def _drains(condition: Condition, rule: AlertRule, provider: ProviderFacts) -> bool:
    """Return whether it is about what waited while the provider was held, and may still drain.

    After a hold that takes as long as the rule allows; one with `after` is patient by itself.
    """
    free = provider.free_seconds
    if free is None or rule.after:
        return False
    if condition.cause == Trouble.DATA_STALE and rule.missed_for is not None:
        return free < rule.missed_for.total_seconds()
    is_age = rule.metric in WAITS - {"waiting"} and rule.above is not None
    return is_age and free < (rule.above or 0.0)


def without_doubles(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings with those that are two guesses at one outage as one."""
    guesses = [
        each
        for each in findings
        if each.cause in {Trouble.PROVIDER_UNREACHABLE, Trouble.NETWORK_DOWN} and not is_clear(each)
    ]
    if len(guesses) < 2:
        return list(findings)
    message = ", or ".join(dict.fromkeys(each.message for each in guesses))
    first = next((e for e in guesses if e.cause == Trouble.PROVIDER_UNREACHABLE), guesses[0])
    others = [each for each in findings if each not in guesses]
    return [replace(first, message=message), *others]


def _inhibited(
    own: Sequence[Finding], conditions: Sequence[Condition], *, is_scheduled: bool
) -> Iterator[Condition]:
    """Yield conditions, marking those that follow from a cause which holds the provider.

    Unless something `is_scheduled`, no sync is missed by itself.
    """
    holds = any(
        each.cause in HOLDING and each.severity is Severity.STOPS for each in own
    ) or any(each.cause == Trouble.NETWORK_DOWN for each in own)  # fmt: skip
    is_spent = any(each.cause in SPENT for each in own)
    is_out = any(each.cause in OUTAGES for each in own)
    for each in conditions:
        is_consequence = holds and each.cause in CONSEQUENCES
        if each.cause == "metric" and each.evidence["metric"] in WAITS:
            is_consequence = is_consequence or is_spent
        if each.cause == "burn_rate":
            is_consequence = is_consequence or is_out
        if each.cause == Trouble.DATA_STALE:
            is_consequence = is_consequence or not is_scheduled
        yield replace(each, inhibited=True) if is_consequence else each


def _once(conditions: Sequence[Condition]) -> list[Condition]:
    """Return one condition for each rule and subject, the first: the worst."""
    found: dict[tuple[str, str], Condition] = {}
    for each in conditions:
        found.setdefault(each.key, each)
    return list(found.values())
