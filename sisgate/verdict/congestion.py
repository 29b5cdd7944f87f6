"""Why calls wait although the provider takes them: quota, floods, pace, slots. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from sisgate.admission.state import WindowState
from sisgate.domain.figures import counted, duration, percent
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.verdict.facts import ProviderFacts
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Trouble
from sisgate.verdict.holds import limit_by_hand

LEAST_WAIT_SECONDS = 1.0
"""Shorter waits for a permit are no trouble."""

MOST = 0.6
"""From this share on, one app stands for all."""

FLOOD_CALLS = 50
FLOOD_SECONDS = 600.0
"""A backlog is a flood from so many calls on that take so long to make."""

BOUND_SECONDS = 20.0
"""A message that waits for longer, for the pace or for a call to end, is told of."""

TAKEN_SECONDS, TAKEN_CALLS = 60.0, 10
"""How long others must have waited, and how many calls one app must have made meanwhile."""

BOUNDS = {
    "concurrency": "max_concurrency, or its school_hours, allow no more calls at a time",
    "interval": "min_interval_seconds keeps its calls apart",
    "bucket": "they are made at the pace of its limit",
}
"""What the limiter waits for besides the quota, in words."""

QUEUED_SECONDS = 10.0
"""A message that waits for longer, with a permit free, is not taken by any worker."""


def congestion(facts: ProviderFacts) -> Iterator[Finding]:
    """Yield why calls wait."""
    quota = list(quota_of(facts))
    yield from quota
    yield from _full(facts)
    flood = [] if quota else list(_flood(facts))
    yield from flood
    yield from _lost(facts)
    yield from _busy(facts)
    if not quota and not flood:
        yield from _bound(facts)


def _full(facts: ProviderFacts) -> Iterator[Finding]:
    """Yield that no more jobs are accepted, and whose the waiting ones are."""
    most = facts.max_waiting_jobs
    if facts.jobs_waiting is None or facts.jobs_waiting < most:
        return
    app, share = _top({each.app: each.calls for each in facts.backlog})
    is_one = app is not None and share >= MOST
    yield Finding(
        Trouble.QUEUE_FULL,
        Party("app", app) if is_one else Party("nobody"),
        Severity.HARMS,
        Certainty.CERTAIN,
        f"{facts.name} takes no more jobs: {most:,} wait, as many as max_waiting_jobs allows"
        + (f", {percent(share)} of them of {app}" if is_one else ""),
        f"Apps are refused until some are done. `sisgate jobs list provider:{facts.name} "
        "state:running` shows them: cancel what is no longer needed, or raise max_waiting_jobs.",
        {"jobs": facts.jobs_waiting, "calls_by_app": {e.app: e.calls for e in facts.backlog}},
        facts.name,
    )


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
    if facts.is_tighter and window.used < _pace_setter(facts.configured).calls:
        yield limit_by_hand(facts, f"is used up; {when}", Severity.STOPS, evidence)
        return
    app, share = _top(facts.usage)
    failed = facts.failed_usage
    if failed >= 0.5 * sum(facts.usage.values()) > 0:
        who, party = f"{facts.name} failed {failed:,} of its calls", Party("provider", facts.name)
        certainty, evidence["failed"] = Certainty.LIKELY, failed
    elif app is not None and share >= 0.5:
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
        f"{_spent(facts.name, window, reason)}; {who}; {when}",
        "Wait, give urgent work a higher priority, or bound the app: `sisgate usage "
        f"{facts.name} --by hour` shows who called.",
        evidence,
        facts.name,
    )


def _spent(name: str, window: WindowState, reason: str) -> str:
    if reason == "reserve" and window.left:
        return (
            f"the quota of {name} is used up but for {window.left:,} of {window.rate}, which are "
            "kept for more urgent calls"
        )
    return f"the quota of {name} is used up ({window.used:,} of {window.rate})"


def _pace_setter(rates: Sequence[Rate]) -> Rate:
    """Return the limit that is the tightest in the long run."""
    return min(rates, key=lambda each: each.per_second)


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
    if facts.is_tighter:
        what = f"{facts.waiting:,} calls wait: {takes}"
        yield limit_by_hand(facts, what, Severity.HARMS, evidence)
        return
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
        message = f"app {app} has {waiting[app]:,} of the {facts.waiting:,} calls that wait for "
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
        "More urgent work goes first, and other work of the same priority takes turns with it. "
        + (
            f"`sisgate jobs cancel app:{app} provider:{facts.name} state:running` withdraws what "
            "is not needed. "
            if party.name
            else ""
        )
        + f"Raise the limit if the provider allows: `sisgate providers show {facts.name}`.",
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
        f"{counted(facts.lost, 'call')} of {facts.name} had begun on workers that are gone",
        "Nothing: other workers take them up when their leases end. See why workers end: their "
        "logs, and the host's memory.",
        {"calls": facts.lost, "oldest_seconds": round(max(facts.running_seconds, default=0.0))},
        facts.name,
    )


def _queued_seconds(facts: ProviderFacts) -> float:
    """Return how long the oldest call waits that any worker may take; 0 without any."""
    return max((each.queued_seconds or 0.0 for each in facts.backlog), default=0.0)


def _busy(facts: ProviderFacts) -> Iterator[Finding]:
    waits, oldest = _waits(facts), _queued_seconds(facts)
    if waits is None or waits[1] > 0 or not facts.workers:
        return
    queued = sum(facts.queued.values())
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
        f"{facts.name} has {counted(queued, 'call')} waiting with permits free: "
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


def _bound(facts: ProviderFacts) -> Iterator[Finding]:
    """Yield that calls wait because few are allowed at a time, or at the pace of the limit."""
    waits, oldest = _waits(facts), _queued_seconds(facts)
    if waits is None or facts.limiter is None or waits[2] not in BOUNDS or oldest < BOUND_SECONDS:
        return
    limiter, reason = facts.limiter, waits[2]
    if reason == "bucket" and (taken := _taken(facts, oldest)):
        yield taken
        return
    if facts.is_tighter and reason == "bucket":
        evidence = {"waiting": facts.waiting, "oldest_seconds": round(oldest)}
        what = f"the oldest call that waits for that pace has for {duration(oldest)}"
        yield limit_by_hand(facts, what, Severity.HARMS, evidence)
        return
    yield Finding(
        Trouble.PACE_BOUND,
        Party("nobody"),
        Severity.WARNS if reason == "bucket" else Severity.HARMS,
        Certainty.LIKELY,
        f"{facts.name} has {counted(facts.waiting, 'call')} waiting, the oldest for "
        f"{duration(oldest)}: "
        f"{BOUNDS[reason]}",
        f"`sisgate providers show {facts.name}` shows its limits; raise them if the provider "
        "allows, or give urgent work a higher priority.",
        {
            "waiting": facts.waiting,
            "oldest_seconds": round(oldest),
            "waits_for": reason,
            "in_flight": limiter.in_flight,
            "factor": round(limiter.factor, 2),
        },
        facts.name,
    )


def _taken(facts: ProviderFacts, oldest: float) -> Finding | None:
    """Return that others wait while one app makes the calls that the pace allows."""
    calls = Counter(each.app for each in facts.recent if each.seconds_ago <= oldest)
    app, share = _top(calls)
    behind = [each for each in facts.backlog if each.app != app]
    others = sum(each.calls for each in behind)
    if app is None or calls[app] < TAKEN_CALLS or share < MOST or not others:
        return None
    if oldest < TAKEN_SECONDS or others < MOST * facts.waiting:
        return None
    lowest = Priority(max(p for each in behind for p, calls in each.by_priority.items() if calls))
    return Finding(
        Trouble.APP_FLOOD,
        Party("app", app),
        Severity.HARMS,
        Certainty.LIKELY,
        f"{counted(others, 'call')} of others wait for {facts.name}, the oldest for "
        f"{duration(oldest)}: {app} took {calls[app]:,} of the {calls.total():,} that the pace "
        "of its limit has allowed meanwhile",
        f"Ask {app} to call less, give what waits a higher priority, or let {app} take turns with "
        f'it: highest_priority = "{lowest.word}" under [apps.{app}] in the configuration.',
        {
            "waiting": facts.waiting,
            "oldest_seconds": round(oldest),
            "calls_by_app": dict(_most(calls)),
        },
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
