"""Whose fault it is that calls of a provider fail: its own, the network's, a key's. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sisgate.breakers.spec import BreakerView
from sisgate.domain.figures import duration
from sisgate.routing.endpoints import short_name
from sisgate.verdict.facts import FleetFacts, MetError, ProviderFacts, RecentCall
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Trouble

NEWEST = 20
"""The newest calls by which a provider is judged."""

RECOVERED = 3
"""So many good answers in a row after the last failure, and it counts as recovered."""

FAILING = 0.5
"""The share of failed calls from which on a provider is failing."""

PARTLY = 0.2
"""The share of failed calls from which on a provider is failing in part."""

FEWEST = 3
"""Fewer calls than so many prove nothing."""

UNAVAILABLE = "provider_unavailable"


def newest(facts: ProviderFacts) -> Sequence[RecentCall]:
    """Return the newest calls since the provider recovered, newest first; all if it has not."""
    calls = facts.recent[:NEWEST]
    streak = 0
    for call in calls:
        if not call.succeeded:
            break
        streak += 1
    return calls[:streak] if streak >= RECOVERED else calls


def current_errors(facts: ProviderFacts) -> Sequence[MetError]:
    """Return the errors of calls that wait, and of jobs that failed since the last good answer."""
    good = next((each.seconds_ago for each in facts.recent if each.succeeded), None)
    return [
        each
        for each in facts.met
        if each.seconds_ago is None or good is None or each.seconds_ago <= good
    ]


def failures(facts: ProviderFacts, fleet: FleetFacts) -> Iterator[Finding]:
    """Yield that calls fail although breakers are closed."""
    calls = newest(facts)
    failed = sum(1 for each in calls if each.failed)
    unsent = [each for each in current_errors(facts) if each.code == UNAVAILABLE and not each.sent]
    if not failed and not unsent:
        return
    count = len(calls) + len(unsent)
    share = (failed + len(unsent)) / count
    if share < PARTLY and failed < FEWEST:
        return
    severity = Severity.STOPS if share >= 0.9 else Severity.HARMS
    if share < PARTLY:
        severity = Severity.WARNS
    finding = outage_of(facts, fleet, (), severity)
    if count < FEWEST:
        finding = _less_certain(finding, Severity.HARMS)
    yield finding


@dataclass(frozen=True, slots=True)
class _Kinds:
    """How many of the newest failures were of which kind."""

    answered: int
    silent: int
    unsent: int
    at_tokens: int
    by_proxy: int


def _kinds(facts: ProviderFacts) -> _Kinds:
    calls, errors = newest(facts), current_errors(facts)
    failed = [each for each in errors if each.code in {UNAVAILABLE, "throttled"}]
    return _Kinds(
        answered=sum(1 for each in calls if each.failed and each.status is not None),
        silent=sum(1 for each in calls if each.status is None),
        unsent=sum(1 for each in failed if not each.sent and not each.at_token_endpoint),
        at_tokens=sum(1 for each in failed if each.at_token_endpoint),
        by_proxy=sum(1 for each in failed if each.by_proxy),
    )


@dataclass(frozen=True, slots=True)
class _Explanation:
    """Who is at fault for failed calls, how sure that is, and the words."""

    trouble: Trouble
    party: Party
    certainty: Certainty
    message: str
    remedy: str


def outage_of(
    facts: ProviderFacts, fleet: FleetFacts, shut: Sequence[BreakerView], severity: Severity
) -> Finding:
    """Return that a provider, or some endpoints of it, fails. `shut` are its open breakers."""
    why = _explained(facts, fleet, shut)
    return Finding(
        why.trouble,
        why.party,
        severity,
        why.certainty,
        f"{why.message}{_state_of(facts, shut)}",
        why.remedy,
        _evidence(facts, shut),
        facts.name,
    )


def _explained(
    facts: ProviderFacts, fleet: FleetFacts, shut: Sequence[BreakerView]
) -> _Explanation:
    kinds, name, provider = _kinds(facts), _names(facts, shut), Party("provider", facts.name)
    ask = f"Ask the operator of {facts.name}. What waits goes on by itself once it answers."
    if kinds.by_proxy and not kinds.answered:
        return _Explanation(
            Trouble.NETWORK_DOWN,
            Party("fleet"),
            Certainty.CERTAIN,
            f"our own proxy does not let calls through to {name}",
            "Check `proxy` of the provider, or HTTPS_PROXY, and the proxy itself.",
        )
    if kinds.at_tokens and kinds.at_tokens >= kinds.answered + kinds.silent:
        return _Explanation(
            Trouble.TOKENS_FAIL,
            provider,
            Certainty.CERTAIN,
            f"the token endpoint of {facts.name} gives no tokens, so no call can be made",
            f"Ask the operator of {facts.name}; `sisgate doctor` tries it.",
        )
    if kinds.answered:
        statuses = Counter(each.status for each in newest(facts) if each.failed and each.status)
        ((most, _),) = statuses.most_common(1)
        what = f"{name} fails: it answered {most} to {_share(facts)}"
        return _Explanation(Trouble.PROVIDER_DOWN, provider, Certainty.CERTAIN, what, ask)
    slow = sum(each.slow for each in shut if each.slow > each.failures)
    if slow and not kinds.silent:
        what = (
            f"{name} is so slow that its breaker opened: {slow} calls took "
            f"{duration(facts.slow_seconds)} or more"
        )
        return _Explanation(Trouble.PROVIDER_SLOW, provider, Certainty.CERTAIN, what, ask)
    if kinds.silent > kinds.unsent and fleet.answering(facts.host):
        what = f"{name} fails: it gave no answer to {_share(facts)}"
        return _Explanation(Trouble.PROVIDER_DOWN, provider, Certainty.LIKELY, what, ask)
    return _unreachable(facts, fleet, name)


def _unreachable(facts: ProviderFacts, fleet: FleetFacts, name: str) -> _Explanation:
    answering = fleet.answering(facts.host)
    # The host of this provider is one of those that give no answer.
    if fleet.silent > 1 and not answering:
        return _Explanation(
            Trouble.NETWORK_DOWN,
            Party("fleet"),
            Certainty.LIKELY,
            f"no provider answers, {name} among {fleet.silent} on different hosts",
            "It is most likely our own network: check the workers' way out (DNS, firewall, proxy).",
        )
    others = f", while {answering} other hosts answer" if answering else ""
    return _Explanation(
        Trouble.PROVIDER_UNREACHABLE,
        Party("provider", facts.name),
        Certainty.LIKELY if answering else Certainty.POSSIBLE,
        f"{name} cannot be reached{others}",
        "`sisgate doctor` tries to connect. If other hosts can be reached from here, ask the "
        f"operator of {facts.name}; else check our own network.",
    )


def doubt(finding: Finding) -> Finding | None:
    """Return the other candidate for a finding that is only possible; None for others."""
    if finding.certainty > Certainty.POSSIBLE or finding.cause != Trouble.PROVIDER_UNREACHABLE:
        return None
    return Finding(
        Trouble.NETWORK_DOWN,
        Party("fleet"),
        finding.severity,
        Certainty.POSSIBLE,
        "our own network does not let us out (no other provider was called meanwhile)",
        "Check the workers' way out (DNS, firewall, proxy).",
        finding.evidence,
        finding.provider,
    )


def _less_certain(finding: Finding, severity: Severity) -> Finding:
    certainty = min(finding.certainty, Certainty.LIKELY)
    if finding.certainty < Certainty.CERTAIN:
        certainty = Certainty.POSSIBLE
    return Finding(
        finding.cause, finding.party, min(severity, finding.severity), certainty,
        finding.message, finding.remedy, finding.evidence, finding.provider,
    )  # fmt: skip


def _evidence(facts: ProviderFacts, shut: Sequence[BreakerView]) -> dict[str, object]:
    calls = newest(facts)
    last = next((each.message for each in current_errors(facts) if each.message), None)
    return {
        "calls": len(calls),
        "failed": sum(1 for each in calls if each.failed),
        "unanswered": sum(1 for each in calls if each.status is None),
        "last_good_seconds_ago": next(
            (round(each.seconds_ago) for each in facts.recent if each.succeeded), None
        ),
        "breakers": {
            short_name(each.endpoint): each.state.value
            for each in shut
        },
        "waiting": facts.waiting,
        "last_failure": last,
    }  # fmt: skip


def _share(facts: ProviderFacts) -> str:
    calls = newest(facts)
    failed = sum(1 for each in calls if each.failed)
    return f"{failed} of the last {len(calls)} calls" if len(calls) > 1 else "the last call"


def _state_of(facts: ProviderFacts, shut: Sequence[BreakerView]) -> str:
    if not shut:
        return ""
    wait = min(each.wait_seconds for each in shut)
    is_all = len(shut) == len(facts.breakers)
    if not is_all:
        return f"; its breaker is {shut[0].state.value}, and calls go to the other endpoints"
    if wait == float("inf"):
        return f"; its breaker is {shut[0].state.value} until somebody releases it"
    when = "now" if wait <= 0 else f"in {duration(wait)}"
    return f"; its breaker is {shut[0].state.value}, and one call probes it {when}"


def _names(facts: ProviderFacts, shut: Sequence[BreakerView]) -> str:
    if not shut or len(shut) == len(facts.breakers):
        return facts.name
    return f"{', '.join(short_name(each.endpoint) for each in shut)} of {facts.name}"
