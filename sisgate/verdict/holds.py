"""What lets no call of a provider through: obstacles, pauses, pins, breakers, blocks. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from sisgate.breakers.spec import BreakerView, State
from sisgate.domain.figures import duration, percent
from sisgate.domain.moments import local_time
from sisgate.liveness.obstacles import Cause, Obstacle
from sisgate.routing.endpoints import short_name
from sisgate.verdict.facts import ByHand, FleetFacts, ProviderFacts
from sisgate.verdict.finding import Certainty, Finding, Party, PartyKind, Severity, Trouble
from sisgate.verdict.outages import breaker_outage
from sisgate.verdict.parts import newest

PARTIES: dict[Cause, PartyKind] = {
    Cause.REDIS_UNREACHABLE: "redis",
    Cause.REDIS_REFUSES_WRITES: "redis",
    Cause.REDIS_SLOW: "redis",
    Cause.LEDGER_UNREACHABLE: "database",
    Cause.LEDGER_UNUSABLE: "database",
    Cause.SCHEMA_BEHIND: "database",
    Cause.NOT_SET_UP: "key",
    Cause.KEY_MISSING: "key",
}
"""Who is at fault for an obstacle; for any other it is the fleet."""

THROTTLED, THROTTLED_CALLS = 0.1, 2
"""The share, and the fewest, of 429 from which on a provider throttles though it takes calls."""

THROTTLE_REMEDY = (
    "Its own limit is lower than the configured one, or something else uses the same quota. Ask "
    "its operator, and lower the limit: `sisgate limits set {} …`."
)

HUNG_SECONDS = 60.0
"""A call under way for so long, while every slot is busy, hangs."""

DAY_SECONDS = 86_400.0
"""A pause that is so old may have been forgotten: its age is told."""

ENDLESS = datetime.max.replace(tzinfo=UTC)
"""The end of a pause without one."""

REBUILD_SECONDS = 10.0
"""A limiter's state is rebuilt within two seconds; calls that wait for longer are a trouble."""


def of_obstacle(obstacle: Obstacle) -> Finding:
    """Return an obstacle as a finding."""
    severity = Severity.WARNS
    if obstacle.stops or obstacle.harms:
        severity = Severity.STOPS if obstacle.stops else Severity.HARMS
    kind = PARTIES.get(obstacle.cause, "fleet")
    return Finding(
        obstacle.cause,
        Party(kind, obstacle.provider if kind == "key" else None),
        severity,
        Certainty.CERTAIN,
        obstacle.message,
        obstacle.remedy,
        provider=obstacle.provider,
    )


def holds(facts: ProviderFacts, fleet: FleetFacts) -> Iterator[Finding]:
    """Yield what keeps all calls from being made, or calls to one endpoint."""
    for obstacle in facts.obstacles:
        yield _hung(facts, fleet, obstacle) or of_obstacle(obstacle)
    yield from _pause(facts, fleet)
    yield from _breakers(facts, fleet)
    yield from _block(facts)
    if facts.limiter is not None and not facts.limiter.known:
        oldest = max((each.oldest_seconds for each in facts.backlog), default=0.0)
        if oldest >= REBUILD_SECONDS:
            yield Finding(
                Trouble.LIMITER_REBUILDS,
                Party("fleet"),
                Severity.STOPS,
                Certainty.CERTAIN,
                f"the counts of {facts.name}'s limiter are gone, and no worker has rebuilt them",
                "Redis was emptied. Any worker rebuilds them from the ledger within seconds: see "
                "the workers' logs.",
                {"waiting": facts.waiting, "oldest_seconds": round(oldest)},
                facts.name,
            )


def by_hand(hand: ByHand | None) -> tuple[Party, str, dict[str, object]]:
    """Return the person who set something, the words for it, and the evidence."""
    if hand is None or hand.actor is None:
        return Party("person"), "by hand", {}
    words = f"by {hand.actor}"
    if hand.at is not None:
        words += f" at {local_time(hand.at)}"
    if hand.reason:
        words += f" ({hand.reason})"
    evidence: dict[str, object] = {
        "by": hand.actor,
        "at": hand.at.isoformat() if hand.at else None,
        "reason": hand.reason,
    }
    return Party("person", hand.actor), words, evidence


def _pause(facts: ProviderFacts, fleet: FleetFacts) -> Iterator[Finding]:
    until = facts.limiter.paused_until if facts.limiter is not None else None
    if facts.pause is None and until is None:
        return
    until = until or (facts.pause.until if facts.pause else None)
    party, words, evidence = by_hand(facts.pause)
    since = facts.pause.at if facts.pause is not None else None
    seconds = (fleet.at - since).total_seconds() if since is not None else 0.0
    ago = f", {duration(seconds)} ago" if seconds >= DAY_SECONDS else ""
    yield Finding(
        Trouble.PAUSED,
        party,
        Severity.STOPS,
        Certainty.CERTAIN,
        f"{facts.name} was paused {words}{ago}, {_end(until)}",
        f"`sisgate resume {facts.name}` ends the pause.",
        {**evidence, "until": _iso(until), "waiting": facts.waiting},
        facts.name,
    )


def _breakers(facts: ProviderFacts, fleet: FleetFacts) -> Iterator[Finding]:
    shut = [each for each in facts.breakers if each.state is not State.CLOSED]
    if not shut:
        return
    is_all = len(shut) == len(facts.breakers)
    pinned = [each for each in shut if each.pinned and each.state is State.OPEN]
    failed = [each for each in shut if not each.pinned]
    severity = Severity.STOPS if is_all else Severity.HARMS
    if pinned and (not failed or is_all):
        party, words, evidence = by_hand(facts.pin)
        until = _common_end(pinned)
        yield Finding(
            Trouble.BREAKER_BY_HAND,
            party,
            severity if not failed else Severity.HARMS,
            Certainty.CERTAIN,
            f"the breaker of {_names(pinned, facts)} is held open {words}, {_end(until)}",
            f"`sisgate breaker {facts.name} auto` ends that.",
            {**evidence, "until": _iso(until), "endpoints": [each.endpoint for each in pinned]},
            facts.name,
        )
    if failed:
        yield breaker_outage(facts, fleet, failed, severity)


def _block(facts: ProviderFacts) -> Iterator[Finding]:
    limiter = facts.limiter
    if limiter is None:
        return
    if limiter.blocked_seconds <= 0:
        yield from _throttled(facts)
        return
    reason = limiter.block_reason
    used = min(limiter.windows, key=lambda each: each.left, default=None)
    evidence = {
        "blocked_seconds": round(limiter.blocked_seconds, 1),
        "reason": reason,
        "limit": str(used.rate) if used else None,
        "used": used.used if used else None,
        "throttled": sum(1 for each in facts.recent if each.status == 429),
    }
    wait = f"it wants no calls for {duration(limiter.blocked_seconds)}"
    if "503" in reason:
        yield Finding(
            Trouble.PROVIDER_DOWN,
            Party("provider", facts.name),
            Severity.STOPS,
            Certainty.CERTAIN,
            f"{facts.name} answered 503 with a Retry-After: {wait}",
            "Wait, or ask its operator about the maintenance.",
            evidence,
            facts.name,
        )
        return
    if facts.is_looser:
        what = f"{facts.name} answered 429: {wait}"
        yield limit_by_hand(facts, what, Severity.STOPS, evidence)
        return
    spare = f" although {used.left:,} of {used.rate} were left" if used and used.left else ""
    yield Finding(
        Trouble.PROVIDER_THROTTLES,
        Party("provider", facts.name),
        Severity.STOPS,
        Certainty.CERTAIN,
        f"{facts.name} answered 429{spare}: {wait}",
        THROTTLE_REMEDY.format(facts.name),
        evidence,
        facts.name,
    )


def _throttled(facts: ProviderFacts) -> Iterator[Finding]:
    """Yield that a provider goes on answering 429, though it takes calls at the moment."""
    calls = newest(facts)
    throttled = sum(1 for each in calls if each.status == 429)
    if facts.limiter is None or throttled < THROTTLED_CALLS or throttled < THROTTLED * len(calls):
        return
    factor = facts.limiter.factor
    what = f"{facts.name} answered 429 to {throttled} of the last {len(calls)} calls"
    if factor < 1:
        what += f", so its pace is at {percent(factor)}"
    evidence = {"throttled": throttled, "calls": len(calls), "factor": round(factor, 2)}
    if facts.is_looser:
        yield limit_by_hand(facts, what, Severity.HARMS, evidence)
        return
    yield Finding(
        Trouble.PROVIDER_THROTTLES,
        Party("provider", facts.name),
        Severity.HARMS,
        Certainty.LIKELY,
        what,
        THROTTLE_REMEDY.format(facts.name),
        evidence,
        facts.name,
    )


def limit_by_hand(
    facts: ProviderFacts, effect: str, severity: Severity, evidence: Mapping[str, object]
) -> Finding:
    """Return that a limit set by hand has an effect, in words."""
    party, words, hand = by_hand(facts.limits_set)
    windows = facts.limiter.windows if facts.limiter is not None else ()
    limits = ", ".join(str(each.rate) for each in windows)
    configured = ", ".join(map(str, facts.configured))
    return Finding(
        Trouble.LIMIT_BY_HAND,
        party,
        severity,
        Certainty.CERTAIN,
        f"the limit of {facts.name} was set to {limits} {words} (configured: {configured}), and "
        f"{effect}",
        f"`sisgate limits set {facts.name} --reset` restores the configured limit.",
        {**evidence, **hand},
        facts.name,
    )


def _hung(facts: ProviderFacts, fleet: FleetFacts, obstacle: Obstacle) -> Finding | None:
    """Return that full slots wait for a provider that does not answer; None if they do not."""
    if obstacle.cause is not Cause.SLOTS_FULL:
        return None
    slots = sum(each.slots for each in facts.workers)
    hanging = {
        name: [each for each in seconds if each >= HUNG_SECONDS]
        for name, seconds in fleet.running_seconds.items()
    }
    name = max(hanging, key=lambda each: len(hanging[each]), default="")
    if not slots or len(hanging.get(name, ())) < slots / 2:
        return None
    count, oldest = len(hanging[name]), max(hanging[name])
    whom = "it" if name == facts.name else name
    return Finding(
        Trouble.PROVIDER_SLOW,
        Party("provider", name),
        Severity.STOPS,
        Certainty.LIKELY,
        f"{count} of the {slots} slots of the workers that serve {facts.name} wait for {whom}, "
        f"which has not answered for {duration(oldest)}; no slot is free",
        f"Each call ends at its timeout. Ask the operator of {name}; more slots (-c), or workers "
        "of their own (-Q), keep one provider from holding up others.",
        {"slots": slots, "hanging": count, "oldest_seconds": round(oldest)},
        facts.name,
    )


def _names(views: Sequence[BreakerView], facts: ProviderFacts) -> str:
    if len(views) == len(facts.breakers):
        return facts.name if len(views) == 1 else f"every endpoint of {facts.name}"
    return ", ".join(short_name(each.endpoint) for each in views)


def _common_end(views: Sequence[BreakerView]) -> datetime | None:
    ends = [each.pinned_until for each in views]
    return None if None in ends else min(end for end in ends if end is not None)


def _end(until: datetime | None) -> str:
    return "without an end" if until in {None, ENDLESS} else f"until {local_time(until)}"


def _iso(until: datetime | None) -> str | None:
    return None if until is None or until == ENDLESS else until.isoformat()
