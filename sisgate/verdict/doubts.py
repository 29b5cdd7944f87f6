"""Doubts whether a provider is away, or our own network. Pure."""

from collections import defaultdict
from collections.abc import Sequence

from sisgate.liveness.obstacles import listed
from sisgate.verdict.facts import FleetFacts
from sisgate.verdict.finding import Certainty, Finding, Party, Trouble
from sisgate.verdict.outages import ANSWERS, OTHERS

HOSTED = frozenset({Trouble.PROVIDER_DOWN, Trouble.PROVIDER_UNREACHABLE})
"""What a host that is down does to its providers."""

CHECK_WAY_OUT = "Check the workers' way out (DNS, firewall, proxy)."


def doubt(finding: Finding) -> Finding | None:
    """Return the other candidate for a finding that is only possible; None for others."""
    if finding.certainty > Certainty.POSSIBLE or finding.cause != Trouble.PROVIDER_UNREACHABLE:
        return None
    why = "" if finding.evidence[OTHERS] else " (no other host has answered since)"
    what = f"our own network does not let us out{why}"
    if finding.evidence[ANSWERS]:
        what = "our own network did not let them out"
    return Finding(
        Trouble.NETWORK_DOWN,
        Party("fleet"),
        finding.severity,
        Certainty.POSSIBLE,
        what,
        CHECK_WAY_OUT,
        finding.evidence,
        finding.provider,
    )


def of_hosts(found: Sequence[Finding], fleet: FleetFacts) -> list[Finding]:
    """Return that hosts fail on which several providers are, and all that were called fail.

    It comes once, before what is wrong with each of them.
    """
    by_host: defaultdict[str, list[str]] = defaultdict(list)
    for each in fleet.providers:
        if each.recent or each.met:
            by_host[each.host].append(each.name)
    failing = {
        each.provider: each
        for each in reversed(found)
        if each.cause in HOSTED
        and each.certainty > Certainty.POSSIBLE
        and "part" not in each.evidence
    }
    return [
        _of_host(host, names, [failing[name] for name in names])
        for host, names in by_host.items()
        if len(names) > 1 and all(name in failing for name in names)
    ]


def _of_host(host: str, names: Sequence[str], failing: Sequence[Finding]) -> Finding:
    worst = max(failing, key=lambda each: (each.severity, each.certainty))
    return Finding(
        Trouble.HOST_DOWN,
        Party("provider", host),
        worst.severity,
        worst.certainty,
        f"{host}, the host of {listed(names)}, fails for all of them",
        f"Ask whoever runs {host}, once for all. What waits goes on by itself once it answers.",
        {"host": host, "providers": list(names)},
    )


def together(found: Sequence[Finding], fleet: FleetFacts) -> list[Finding]:
    """Return findings, first that several providers cannot be reached at once where that is so.

    It stands for the doubt about each of them.
    """
    several = [
        each
        for each in found
        if each.cause == Trouble.PROVIDER_UNREACHABLE
        and each.certainty is Certainty.POSSIBLE
        and not each.evidence[OTHERS]
        and not each.evidence[ANSWERS]
    ]
    if len({each.provider for each in several}) < 2:
        return list(found)
    names = list(dict.fromkeys(each.provider or "" for each in several))
    hosts = {each.host for each in fleet.providers if each.name in names}
    shared = f", or {hosts.pop()}, the host of all of them, is down" if len(hosts) == 1 else ""
    whole = Finding(
        Trouble.NETWORK_DOWN,
        Party("fleet"),
        max(each.severity for each in several),
        Certainty.POSSIBLE,
        f"{len(names)} providers cannot be reached at once ({listed(names)}), and no other host "
        f"has answered since: our own network does not let us out{shared}",
        CHECK_WAY_OUT,
        {"providers": names},
    )
    others = [
        each
        for each in found
        if each.cause != Trouble.NETWORK_DOWN or each.certainty > Certainty.POSSIBLE
    ]
    return [whole, *others]
