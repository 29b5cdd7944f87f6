"""What takes long: the provider, a part of it, or we ourselves. Pure."""

from collections.abc import Iterator, Sequence
from statistics import median

from sisgate.domain.figures import counted, duration
from sisgate.verdict.facts import FleetFacts, ProviderFacts, TimedCall, Timing
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Trouble
from sisgate.verdict.parts import CHANCE, FEWEST, where

SLOWER = 3.0
SLOW_SECONDS = 1.0
"""A provider is slow at so many times its usual latency, and not below this one."""

USUAL_CALLS, RECENT_CALLS = 20, 3
"""The fewest calls that make a usual, and a recent latency."""

TAIL = 0.05
TAIL_SECONDS, TAIL_TIMES = 5.0, 10.0
"""The share of calls that take so long, and so many times the usual, from which on a provider is
slow now and then."""

HANGING = 5.0
"""A call hangs once it is under way for so many times what is slow."""

OWN_SECONDS = 1.0
TRIP_SECONDS = 0.5
"""What sisgate adds to a call, and a round trip to the ledger, from which on it is slow."""


def slowness(facts: ProviderFacts, fleet: FleetFacts) -> Iterator[Finding]:
    """Yield that calls take long, and whose time it is."""
    whole = _slow(facts, facts.timing) or _tail(facts)
    yield from _slow_parts(facts) or ([whole] if whole is not None else [])
    yield from _own(facts, fleet)


def _slow_parts(facts: ProviderFacts) -> list[Finding]:
    """Return the datasets and methods, or else the endpoints, that are slow while others are not.

    The endpoints of a provider are alike, so that what is usual is so of each.
    """
    timing = facts.timing
    names = {each.part for each in timing.recent if each.part}
    urls = {each.endpoint for each in timing.recent if each.endpoint}
    if not may_be_slow(timing.recent, ()) or max(len(names), len(urls)) < 2:
        return []
    parts = {name: timing.of(name) for name in sorted(names)}
    endpoints = {url: Timing(timing.of(endpoint=url).recent, timing.usual) for url in sorted(urls)}
    slow = [_slow(facts, own, part=part) for part, own in parts.items() if _is_enough(own)]
    if None not in slow or not any(slow):
        slow = [_slow(facts, own, endpoint=e) for e, own in endpoints.items() if _is_enough(own)]
    return [each for each in slow if each is not None] if None in slow else []


def _is_enough(timing: Timing) -> bool:
    return len(timing.recent) >= RECENT_CALLS


def may_be_slow(recent: Sequence[TimedCall], running_seconds: Sequence[float]) -> bool:
    """Return whether any call takes so long that it matters what is usual."""
    return any(each.seconds >= SLOW_SECONDS for each in recent) or any(
        seconds >= HANGING * SLOW_SECONDS for seconds in running_seconds
    )


def bound_of(facts: ProviderFacts, timing: Timing) -> tuple[float, float | None]:
    """Return from which latency on calls are slow, and their usual one; None if unknown."""
    if len(timing.usual) < USUAL_CALLS:
        return facts.slow_seconds, None
    usual = median(each.seconds for each in timing.usual)
    return min(facts.slow_seconds, max(SLOW_SECONDS, SLOWER * usual)), usual


def _slow(
    facts: ProviderFacts, timing: Timing, *, part: str | None = None, endpoint: str | None = None
) -> Finding | None:
    bound, usual = bound_of(facts, timing)
    recent = None
    if len(timing.recent) >= RECENT_CALLS:
        recent = median(each.seconds for each in timing.recent)
    is_whole = part is None and endpoint is None
    hanging = [each for each in facts.running_seconds if each >= HANGING * bound and is_whole]
    if facts.lost:
        hanging = []
    place = where(part, endpoint)
    if recent is not None and recent >= bound:
        times = f", {recent / usual:.0f} times the usual {duration(usual)}" if usual else ""
        message = f"{facts.name} is slow{place}: half of its calls take {duration(recent)}{times}"
    elif hanging:
        message = f"{facts.name} has not answered {counted(len(hanging), 'call')} for "
        message += duration(max(hanging))
    else:
        return None
    return Finding(
        Trouble.PROVIDER_SLOW,
        Party("provider", facts.name),
        Severity.HARMS,
        Certainty.LIKELY,
        message,
        f"Ask the operator of {facts.name}. Calls to it wait longer, and none is lost.",
        {
            **({"part": part} if part else {}),
            **({"endpoint": endpoint} if endpoint else {}),
            "median_seconds": None if recent is None else round(recent, 3),
            "usual_seconds": None if usual is None else round(usual, 3),
            "calls": len(timing.recent),
            "under_way_seconds": [round(each) for each in hanging[:5]],
        },
        facts.name,
    )


def _tail(facts: ProviderFacts) -> Finding | None:
    """Return that some calls take long among quick ones, and more of them than usual."""
    recent, usual = facts.timing.recent, facts.timing.usual
    if len(usual) < USUAL_CALLS:
        return None
    bound = max(TAIL_SECONDS, TAIL_TIMES * median(each.seconds for each in usual))
    places = [place for place, each in enumerate(recent) if each.seconds >= bound]
    before = sum(each.seconds >= bound for each in usual) / len(usual)
    share = len(places) / max(1, len(recent))
    # Of quick calls since the last slow one, so many that chance makes them seldom, it is over.
    is_over = not places or (1 - share) ** places[0] < CHANCE
    if is_over or len(places) < FEWEST or share < max(TAIL, SLOWER * before):
        return None
    slow = [recent[place] for place in places]
    typical = median(each.seconds for each in slow)
    return Finding(
        Trouble.PROVIDER_SLOW,
        Party("provider", facts.name),
        Severity.WARNS,
        Certainty.LIKELY,
        f"{facts.name} is slow now and then: {len(slow)} of the last {len(recent)} calls took "
        f"about {duration(typical)}, while half take {duration(median(e.seconds for e in recent))}",
        f"Ask the operator of {facts.name}: one of several servers behind its address may be ill.",
        {
            "slow": len(slow),
            "calls": len(recent),
            "slow_seconds": round(typical, 3),
            "usual_seconds": round(median(each.seconds for each in usual), 3),
        },
        facts.name,
    )


def _own(facts: ProviderFacts, fleet: FleetFacts) -> Iterator[Finding]:
    recent = facts.timing.recent
    if len(recent) < RECENT_CALLS:
        return
    own = median(each.own_seconds for each in recent)
    trip = fleet.ledger_seconds or 0.0
    if own < OWN_SECONDS or own < median(each.seconds for each in recent):
        return
    yield Finding(
        Trouble.LEDGER_SLOW,
        Party("database"),
        Severity.HARMS,
        Certainty.LIKELY if trip >= TRIP_SECONDS else Certainty.POSSIBLE,
        f"sisgate itself adds {duration(own)} to each call of {facts.name}: most likely the "
        "database is slow",
        "Look at the load of the database and its disk, and at the workers' processors.",
        {"own_seconds": round(own, 3), "ledger_round_trip_seconds": round(trip, 3)},
        facts.name,
    )
