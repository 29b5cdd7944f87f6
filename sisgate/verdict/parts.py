"""Which part of a provider fails: all of it, a dataset, a method, an endpoint. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    return since_recovery(facts.recent)


def since_recovery(recent: Sequence[RecentCall]) -> Sequence[RecentCall]:
    """Return the newest of some calls since they were answered as asked; all if they are not yet.

    A provider that fails one call of four gives three good answers in a row often enough, so the
    streak that counts is the longer the fewer failed before it. What was refused says nothing.
    """
    calls = recent[:NEWEST]
    judged = [each for each in calls if of_status(each.status) is not ResponseClass.REFUSED]
    streak = next((n for n, each in enumerate(judged) if not each.succeeded), len(judged))
    before = judged[streak:]
    if not before or streak < RECOVERED:
        return calls
    good = sum(1 for each in before if each.succeeded) / len(before)
    if good**streak > CHANCE:
        return calls
    bad = calls.index(before[0])
    return calls[:bad]


def failing_parts(facts: ProviderFacts) -> dict[str, Sequence[RecentCall]]:
    """Return the newest calls of the parts that fail while others work; empty if all are alike."""
    failing: dict[str, Sequence[RecentCall]] = {}
    works = False
    for part in dict.fromkeys(each.part for each in facts.recent):
        calls = since_recovery([each for each in facts.recent if each.part == part])
        failed = sum(1 for each in calls if each.failed)
        is_all = failed == len(calls) >= FEWEST_ALIKE
        if is_all or (failed >= FEWEST and failed >= MOST * len(calls)):
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
