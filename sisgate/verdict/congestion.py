"""Why calls wait although the provider takes them: quota, floods, slots, slowness. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from sisgate.domain.figures import duration, percent
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.verdict.facts import FleetFacts, ProviderFacts
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Trouble
from sisgate.verdict.holds import by_hand

LEAST_WAIT_SECONDS = 1.0
"""Shorter waits for a permit are no trouble."""

MOST = 0.6
"""From this share on, one app stands for all."""

FLOOD_CALLS = 50
FLOOD_SECONDS = 600.0
"""A backlog is a flood from so many calls on that take so long to make."""

QUEUED_SECONDS = 10.0
"""A message that waits for longer, with a permit free, is not taken by any worker."""

SLOWER = 3.0
SLOW_SECONDS = 1.0
"""A provider is slow at so many times its usual latency, and not below this one."""

USUAL_CALLS, RECENT_CALLS = 20, 3
"""The fewest calls that make a usual, and a recent latency."""

OWN_SECONDS = 1.0
TRIP_SECONDS = 0.5
"""What sisgate adds to a call, and a round trip to the ledger, from which on it is slow."""


def congestion(facts: ProviderFacts, fleet: FleetFacts) -> Iterator[Finding]:
    """Yield why calls wait or take long."""
    quota = list(quota_of(facts))
    yield from quota
    if not quota:
        yield from _flood(facts)
    yield from _lost(facts)
    yield from _busy(facts)
    yield from _slow(facts)
    yield from _own(facts, fleet)


def _waits(facts: ProviderFacts) -> tuple[Priority, float, str] | None:
    """Return the most urgent priority with waiting calls, and how long and why it waits."""
    if facts.limiter is None or not facts.limiter.known:
        return None
    waiting = {p for each in facts.backlog for p, calls in each.by_priority.items() if calls}
    for priority in Priority:
        if int(priority) in waiting:
            seconds = facts.limiter.next_permit_in_seconds.get(priority, 0.0)
            return priority, seconds, facts.limiter.waiting_for.get(priority, "granted")
    return None


def quota_of(facts: ProviderFacts) -> Iterator[Finding]:
    """Yield that the quota is used up, and by whom, where calls wait for it."""
    waits = _waits(facts)
    if waits is None or facts.limiter is None:
        return
    priority, seconds, reason = waits
    if seconds < LEAST_WAIT_SECONDS or reason not in {"window", "reserve"}:
        return
    window = min(facts.limiter.windows, key=lambda each: each.left)
    evidence = {
        "limit": str(window.rate),
        "used": window.used,
        "left": window.left,
        "next_call_in_seconds": round(seconds),
        "priority": priority.word,
        "waiting": facts.waiting,
        "calls_by_app": dict(Counter(facts.usage).most_common(5)),
    }
    when = f"the next {priority.word} call can be made in {duration(seconds)}"
    if facts.limiter.overridden and _is_tighter(facts, window.used):
        party, words, hand = by_hand(facts.limits_set)
        configured = ", ".join(str(rate) for rate in facts.configured)
        yield Finding(
            Trouble.LIMIT_BY_HAND,
            party,
            Severity.STOPS,
            Certainty.CERTAIN,
            f"the limit of {facts.name} was set to {window.rate} {words} (configured: "
            f"{configured}), and is used up; {when}",
            f"`sisgate limits set {facts.name} --reset` restores the configured limit.",
            {**evidence, **hand},
            facts.name,
        )
        return
    app, share = _top(facts.usage)
    if app is not None and share >= 0.5:
        who, party = f"{app} made {percent(share)} of its calls", Party("app", app)
        certainty = Certainty.CERTAIN if share >= MOST else Certainty.LIKELY
    elif facts.usage:
        shares = ", ".join(f"{name} {count:,}" for name, count in _most(facts.usage))
        who, party, certainty = f"by several apps: {shares}", Party("nobody"), Certainty.CERTAIN
    else:
        who, party, certainty = "by whom is not known", Party("nobody"), Certainty.CERTAIN
    yield Finding(
        Trouble.QUOTA_SPENT,
        party,
        Severity.STOPS,
        certainty,
        f"the quota of {facts.name} is used up ({window.used:,} of {window.rate}); {who}; {when}",
        "Wait, give urgent work a higher priority, or bound the app: `sisgate usage "
        f"{facts.name} --by hour` shows who called.",
        evidence,
        facts.name,
    )


def _is_tighter(facts: ProviderFacts, used: int) -> bool:
    """Return whether the configured limits would still allow calls."""
    limiter = facts.limiter
    if limiter is None or not facts.configured:
        return False
    pace = min((each.rate.per_second for each in limiter.windows), default=0.0)
    configured: Rate = min(facts.configured, key=lambda each: each.per_second)
    return pace < configured.per_second and used < configured.calls


def _flood(facts: ProviderFacts) -> Iterator[Finding]:
    limiter = facts.limiter
    if limiter is None or facts.waiting < FLOOD_CALLS:
        return
    slowest = min((each.rate.per_second for each in limiter.windows), default=None)
    if slowest is None:
        return
    pace = slowest * limiter.factor
    seconds = facts.waiting / pace if pace > 0 else float("inf")
    if seconds < FLOOD_SECONDS:
        return
    waiting = {each.app: each.calls for each in facts.backlog}
    app, share = _top(waiting)
    evidence = {
        "waiting": facts.waiting,
        "drains_in_seconds": round(seconds),
        "waiting_by_app": dict(_most(waiting)),
        "oldest_seconds": round(max(each.oldest_seconds for each in facts.backlog)),
        "factor": round(limiter.factor, 2),
    }
    takes = f"they take {duration(seconds)} at the limit's pace"
    if limiter.factor < 0.5:
        yield Finding(
            Trouble.PROVIDER_THROTTLES,
            Party("provider", facts.name),
            Severity.HARMS,
            Certainty.LIKELY,
            f"{facts.name} answered 429 or 503 lately, so its pace is at "
            f"{percent(limiter.factor)}; {facts.waiting:,} calls wait, and {takes}",
            "The pace recovers by itself. If the provider keeps throttling, lower its limit: "
            f"`sisgate limits set {facts.name} …`.",
            evidence,
            facts.name,
        )
        return
    if app is not None and share >= MOST:
        message = f"{app} has {waiting[app]:,} of the {facts.waiting:,} calls that wait for "
        message += f"{facts.name}; {takes}"
        party, certainty = Party("app", app), Certainty.CERTAIN
    else:
        message = f"{facts.waiting:,} calls of {len(waiting)} apps wait for {facts.name}; {takes}"
        party, certainty = Party("nobody"), Certainty.LIKELY
    yield Finding(
        Trouble.APP_FLOOD,
        party,
        Severity.HARMS,
        certainty,
        message,
        "Other work of the same priority takes turns with it. Lower its priority, bound the app, "
        f"or raise the limit if the provider allows: `sisgate providers show {facts.name}`.",
        evidence,
        facts.name,
    )


def _lost(facts: ProviderFacts) -> Iterator[Finding]:
    if not facts.lost:
        return
    yield Finding(
        Trouble.CALLS_LOST,
        Party("fleet"),
        Severity.HARMS,
        Certainty.CERTAIN,
        f"{facts.lost} calls of {facts.name} were under way on workers that are gone",
        "Nothing: other workers take them up when their leases end. See why workers end: their "
        "logs, and the host's memory.",
        {"calls": facts.lost, "oldest_seconds": round(max(facts.running_seconds, default=0.0))},
        facts.name,
    )


def _busy(facts: ProviderFacts) -> Iterator[Finding]:
    waits = _waits(facts)
    if waits is None or waits[1] > 0 or not facts.workers:
        return
    queued = sum(facts.queued.values())
    oldest = max((each.oldest_seconds for each in facts.backlog), default=0.0)
    if not queued or oldest < QUEUED_SECONDS:
        return
    if any(each.state.value != "closed" for each in facts.breakers):
        return
    slots = sum(each.slots for each in facts.workers)
    busy = sum(each.busy for each in facts.workers)
    is_full = slots > 0 and busy >= slots
    yield Finding(
        Trouble.WORKERS_BUSY if is_full else Trouble.UNEXPLAINED,
        Party("fleet"),
        Severity.HARMS,
        Certainty.LIKELY if is_full else Certainty.POSSIBLE,
        f"{queued:,} calls wait for {facts.name} with permits free: "
        + (
            f"all {slots} slots of its workers are busy"
            if is_full
            else f"its workers have {slots - busy} of {slots} slots free, and take none"
        ),
        "Give the workers more slots (-c), or start more workers."
        if is_full
        else "See the workers' logs, and `sisgate doctor`.",
        {"queued": queued, "slots": slots, "busy": busy, "oldest_seconds": round(oldest)},
        facts.name,
    )


def _slow(facts: ProviderFacts) -> Iterator[Finding]:
    timing = facts.timing
    usual = median(timing.usual) if len(timing.usual) >= USUAL_CALLS else None
    bound = facts.slow_seconds
    if usual is not None:
        bound = min(bound, max(SLOW_SECONDS, SLOWER * usual))
    recent = median(timing.recent) if len(timing.recent) >= RECENT_CALLS else None
    hanging = [seconds for seconds in facts.running_seconds if seconds >= 5 * bound]
    if facts.lost:
        hanging = []
    if (recent is None or recent < bound) and not hanging:
        return
    evidence = {
        "median_seconds": None if recent is None else round(recent, 3),
        "usual_seconds": None if usual is None else round(usual, 3),
        "calls": len(timing.recent),
        "under_way_seconds": [round(each) for each in hanging[:5]],
    }
    if recent is not None and recent >= bound:
        times = f", {recent / usual:.0f} times the usual {duration(usual)}" if usual else ""
        message = f"{facts.name} is slow: half of its calls take {duration(recent)}{times}"
    else:
        message = f"{facts.name} has not answered {len(hanging)} calls for {duration(max(hanging))}"
    yield Finding(
        Trouble.PROVIDER_SLOW,
        Party("provider", facts.name),
        Severity.HARMS,
        Certainty.LIKELY,
        message,
        f"Ask the operator of {facts.name}. Calls to it wait longer, and none is lost.",
        evidence,
        facts.name,
    )


def _own(facts: ProviderFacts, fleet: FleetFacts) -> Iterator[Finding]:
    own = median(facts.timing.own) if len(facts.timing.own) >= RECENT_CALLS else 0.0
    trip = fleet.ledger_seconds or 0.0
    if own < OWN_SECONDS or (facts.timing.recent and own < median(facts.timing.recent)):
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


def _top(counts: Mapping[str, int]) -> tuple[str | None, float]:
    """Return who has most, and which share that is."""
    total = sum(counts.values())
    if not total:
        return None, 0.0
    ((name, count),) = Counter(counts).most_common(1)
    return name, count / total


def _most(counts: Mapping[str, int]) -> Sequence[tuple[str, int]]:
    return Counter(counts).most_common(5)
