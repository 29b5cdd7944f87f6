"""Which part of a provider fails: all of it, a dataset, a method, an endpoint. Pure."""

from collections.abc import Iterable, Sequence

from sisgate.breakers.spec import State
from sisgate.domain.links import Link
from sisgate.domain.response_class import ResponseClass, of_status
from sisgate.routing.endpoints import short_name
from sisgate.verdict.facts import ProviderFacts, RecentCall
from sisgate.verdict.finding import Finding

NEWEST = 20
"""The newest calls by which a provider, or a part of it, is judged."""

RECOVERED = 3
"""The fewest good answers in a row that prove a recovery."""

CHANCE = 0.05
"""A recovery is proven by good answers that would else come by chance in at most so many cases."""

FEWEST = 3
"""Fewer calls than so many prove nothing."""

FEWEST_ALIKE = 2
"""So few are enough if all of a part failed while other parts work."""

MOST = 0.5
"""The share of failed calls from which on a part is failing."""


def newest(facts: ProviderFacts) -> Sequence[RecentCall]:
    """Return the newest calls since the provider recovered, newest first; all if it has not."""
    return since_recovery(facts.recent, closed_seconds=_closed_seconds(facts))


def since_recovery(
    recent: Sequence[RecentCall], closed_seconds: float | None = None
) -> Sequence[RecentCall]:
    """Return the newest of some calls since they were answered as asked; all if they are not yet.

    A provider that fails one call of four gives three good answers in a row often enough, so the
    streak that counts is the longer the fewer failed before it. Good answers before the first
    failure say nothing of how it failed, and what was refused says nothing at all. A breaker that
    closed `closed_seconds` ago has tried the provider: no failure since then is a streak, too.
    """
    calls = recent[:NEWEST]
    judged = [each for each in calls if of_status(each.status) is not ResponseClass.REFUSED]
    streak = next((n for n, each in enumerate(judged) if not each.succeeded), len(judged))
    before = list(judged[streak:])
    while before and before[-1].succeeded:
        before.pop()
    if not before or streak < (1 if _is_older(before[0], closed_seconds) else RECOVERED):
        return calls
    good = sum(1 for each in before if each.succeeded) / len(before)
    if good**streak > CHANCE:
        return calls
    bad = calls.index(before[0])
    return calls[:bad]


def _closed_seconds(facts: ProviderFacts) -> float | None:
    """Return how long ago the last breaker closed again; None if one is open, or none ever was."""
    if any(each.state is not State.CLOSED for each in facts.breakers):
        return None
    closed = [e.closed_seconds for e in facts.breakers if e.closed_seconds is not None]
    return min(closed, default=None)


def _is_older(call: RecentCall, seconds: float | None) -> bool:
    return seconds is not None and call.seconds_ago > seconds


def failing_parts(facts: ProviderFacts) -> dict[str, Sequence[RecentCall]]:
    """Return the newest calls of the parts that fail while others work; empty if all are alike.

    What broke off on the way to the provider says nothing of a part.
    """
    failing: dict[str, Sequence[RecentCall]] = {}
    works = False
    for part in dict.fromkeys(each.part for each in facts.recent):
        calls = since_recovery([each for each in facts.recent if each.part == part])
        failed = sum(1 for each in calls if each.failed)
        is_sent = any(each.failed and each.link is Link.ANSWER for each in calls)
        is_all = failed == len(calls) >= FEWEST_ALIKE
        if is_sent and (is_all or (failed >= FEWEST and failed >= MOST * len(calls))):
            failing[part] = calls
        works = works or (failed == 0 and sum(1 for e in calls if e.succeeded) >= FEWEST)
    return failing if works and "" not in failing else {}


def where(part: str | None = None, endpoint: str | None = None) -> str:
    """Return for or at which part of a provider something is so, in words; nothing for all.

    >>> f"lincoln fails{where('students')}", f"lincoln is slow{where('POST')}"
    ('lincoln fails for students', 'lincoln is slow for POST requests')
    """
    if endpoint is not None:
        return f" at {short_name(endpoint)}"
    if part is None:
        return ""
    return f" for {part} requests" if part.isupper() else f" for {part}"


def about(findings: Iterable[Finding], resource: str | None) -> list[Finding]:
    """Return the findings but those about other parts than a dataset; None for requests."""
    found = []
    for each in findings:
        part = each.evidence.get("part")
        if part is None or (part == resource if resource else str(part).isupper()):
            found.append(each)
    return found
