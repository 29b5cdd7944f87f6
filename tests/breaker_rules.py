"""A model of a breaker. Pure: a breaker and what happened in, the breaker after it out.

The product decides in `sisgate/breakers/lua/rules.lua`, in Redis, where a decision is atomic for
the fleet; a test plays any history on both and compares. Times are whole milliseconds of one clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sisgate.breakers.spec import WINDOW_BUCKETS, BreakerSpec, BreakerToken, State, Transition
from sisgate.domain.response_class import Outcome


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was counted in one part of the window."""

    place: int
    calls: int = 0
    failures: int = 0
    slow: int = 0


@dataclass(frozen=True, slots=True)
class Breaker:
    """All that is remembered of a breaker. `probe_until_ms` 0: no probe is under way.

    `changed_at_ms` is when its state or its pin last changed, 0 for never. `pin_until_ms` is None
    when it is not pinned, and infinite for a pin without end.
    """

    state: State = State.CLOSED
    generation: int = 0
    failures: int = 0
    successes: int = 0
    openings: int = 0
    changed_at_ms: int = 0
    closed_at_ms: int = 0
    open_until_ms: int = 0
    probe: int = 0
    probe_until_ms: int = 0
    pin_until_ms: float | None = None
    window: tuple[Bucket, ...] = ()


Changed = tuple[Breaker, list[Transition]]


def trip_reason(
    spec: BreakerSpec, failures_in_a_row: int, calls: int, failures: int, slow: int
) -> str | None:
    """Return why a closed breaker opens, or None while it has no reason to.

    >>> spec = BreakerSpec(fail_max=5, failure_rate=0.5, minimum_calls=10)
    >>> trip_reason(spec, failures_in_a_row=1, calls=10, failures=5, slow=0)
    'failure_rate'
    >>> trip_reason(spec, failures_in_a_row=4, calls=9, failures=9, slow=9)
    """
    if failures_in_a_row >= spec.fail_max:
        return "failures"
    if calls < spec.minimum_calls:
        return None
    if failures >= spec.failure_rate * calls:
        return "failure_rate"
    return "slow_rate" if slow >= spec.slow_rate * calls else None


def open_ms(spec: BreakerSpec, openings: int, draw: float) -> int:
    """Return how long the n-th opening in a row lasts; `draw` is a random number in [0, 1).

    >>> [open_ms(BreakerSpec(), n, 0.0) for n in (1, 2, 3, 9)]
    [30000, 60000, 120000, 600000]
    >>> open_ms(BreakerSpec(jitter=0.2), 1, 0.5)
    27000
    """
    doubled = spec.open_seconds * 1000 * 2.0 ** min(openings - 1, 30)
    return int(min(spec.open_cap_seconds * 1000, doubled) * (1 - spec.jitter * draw))


def ask(
    breaker: Breaker, spec: BreakerSpec, now: int
) -> tuple[Breaker, BreakerToken | None, list[Transition]]:
    """Ask to make a call; None is no. After an opening the first to ask makes the probe."""
    breaker, changes = settle(breaker, now)
    if breaker.state is State.CLOSED:
        return breaker, BreakerToken(breaker.generation), changes
    if wait_ms(breaker, now) > 0:
        return breaker, None, changes
    if breaker.state is State.OPEN:
        breaker, change = _move(breaker, State.HALF_OPEN, "due", now)
        changes.append(change)
    number = breaker.probe + 1
    lease_ends = now + round(spec.probe_lease_seconds * 1000)
    breaker = replace(breaker, probe=number, probe_until_ms=lease_ends)
    return breaker, BreakerToken(breaker.generation, number), changes


def report(
    breaker: Breaker,
    spec: BreakerSpec,
    token: BreakerToken,
    outcome: Outcome,
    took_ms: float,
    now: int,
    draw: float,
) -> Changed:
    """Tell what came of a call. Ignored when the breaker has changed since it was let pass."""
    breaker, changes = settle(breaker, now)
    if token.generation != breaker.generation:
        return breaker, changes
    slow = took_ms >= spec.slow_seconds * 1000
    is_counted = breaker.pin_until_ms is None and outcome is not Outcome.NEUTRAL
    if breaker.state is State.HALF_OPEN and token.probe == breaker.probe:
        breaker = replace(breaker, probe_until_ms=0)
        if is_counted:
            breaker, more = _after_probe(breaker, spec, outcome, slow, now, draw)
            changes += more
    elif breaker.state is State.CLOSED and is_counted:
        breaker, more = _after_call(breaker, spec, outcome, slow, now, draw)
        changes += more
    return breaker, changes


def pin(breaker: Breaker, state: State, until_ms: float, now: int) -> Changed:
    """Fix the state until `until_ms`, which may be infinite; no traffic moves it."""
    breaker, changes = settle(breaker, now)
    breaker, change = _move(breaker, state, "pinned", now)
    return replace(breaker, pin_until_ms=until_ms), [*changes, change]


def unpin(breaker: Breaker, now: int, reason: str = "unpinned") -> Changed:
    """End a pin. Traffic moves the state on from there; an open breaker is due at once."""
    if breaker.pin_until_ms is None:
        return breaker, []
    breaker, change = _move(replace(breaker, pin_until_ms=None), breaker.state, reason, now)
    return replace(breaker, closed_at_ms=now, open_until_ms=now), [change]


def settle(breaker: Breaker, now: int) -> Changed:
    """End a pin whose time is over."""
    if breaker.pin_until_ms is None or breaker.pin_until_ms > now:
        return breaker, []
    return unpin(breaker, now, "pin_ended")


def wait_ms(breaker: Breaker, now: int) -> float:
    """Return how long no call can pass: 0 when one would now."""
    if breaker.pin_until_ms is not None and breaker.pin_until_ms <= now:
        breaker, _ = unpin(breaker, now)
    if breaker.state is State.CLOSED:
        return 0
    if breaker.state is State.HALF_OPEN:
        return max(0, breaker.probe_until_ms - now)
    if breaker.pin_until_ms is not None:
        return breaker.pin_until_ms - now
    return max(0, breaker.open_until_ms - now)


def held_ms(breakers: Iterable[Breaker], now: int) -> float | None:
    """Return how long the provider's queue is held, None when it is not: a breaker is closed.

    A hold that has lasted 0 ms more lets one message through, which becomes a probe.
    """
    settled = [settle(breaker, now)[0] for breaker in breakers]
    if any(breaker.state is State.CLOSED for breaker in settled):
        return None
    return min(wait_ms(breaker, now) for breaker in settled)


def totals(breaker: Breaker, spec: BreakerSpec, now: int) -> tuple[int, int, int]:
    """Return calls, failures and slow calls of the window."""
    window = _recent(breaker.window, spec, now)
    calls, failures, slow = (
        sum(getattr(bucket, name) for bucket in window) for name in ("calls", "failures", "slow")
    )
    return calls, failures, slow


def _after_call(
    breaker: Breaker, spec: BreakerSpec, outcome: Outcome, slow: bool, now: int, draw: float
) -> Changed:
    breaker = _count(breaker, spec, outcome, slow, now)
    reason = trip_reason(spec, breaker.failures, *totals(breaker, spec, now))
    return _open(breaker, spec, reason, now, draw) if reason else (breaker, [])


def _after_probe(
    breaker: Breaker, spec: BreakerSpec, outcome: Outcome, slow: bool, now: int, draw: float
) -> Changed:
    breaker = _count(breaker, spec, outcome, slow, now)
    if outcome is Outcome.FAILURE:
        return _open(breaker, spec, "probe_failed", now, draw)
    if slow:
        return _open(breaker, spec, "probe_slow", now, draw)
    breaker = replace(breaker, successes=breaker.successes + 1)
    if breaker.successes < spec.success_threshold:
        return breaker, []
    breaker, change = _move(breaker, State.CLOSED, "recovered", now)
    return replace(breaker, closed_at_ms=now), [change]


def _open(breaker: Breaker, spec: BreakerSpec, reason: str, now: int, draw: float) -> Changed:
    was_healthy = (
        breaker.state is State.CLOSED and now - breaker.closed_at_ms >= spec.healthy_seconds * 1000
    )
    openings = 1 if was_healthy else breaker.openings + 1
    breaker, change = _move(breaker, State.OPEN, reason, now)
    return replace(breaker, openings=openings, open_until_ms=now + open_ms(spec, openings, draw)), [
        change
    ]


def _move(breaker: Breaker, state: State, reason: str, now: int) -> tuple[Breaker, Transition]:
    moved = replace(
        breaker,
        state=state,
        generation=breaker.generation + 1,
        changed_at_ms=now,
        successes=0,
        probe_until_ms=0,
    )
    if state is State.CLOSED:  # until then it can be seen what opened it
        moved = replace(moved, failures=0, window=())
    return moved, Transition(breaker.state, state, reason)


def _count(breaker: Breaker, spec: BreakerSpec, outcome: Outcome, slow: bool, now: int) -> Breaker:
    failed = outcome is Outcome.FAILURE
    return replace(
        breaker,
        failures=breaker.failures + 1 if failed else 0,
        window=_counted(breaker.window, spec, failed, slow, now),
    )


def _recent(window: tuple[Bucket, ...], spec: BreakerSpec, now: int) -> list[Bucket]:
    oldest = now // spec.bucket_ms - WINDOW_BUCKETS
    return [bucket for bucket in window if bucket.place > oldest]


def _counted(
    window: tuple[Bucket, ...], spec: BreakerSpec, failed: bool, slow: bool, now: int
) -> tuple[Bucket, ...]:
    place = now // spec.bucket_ms
    recent = _recent(window, spec, now)
    last = recent.pop() if recent and recent[-1].place == place else Bucket(place)
    counted = Bucket(place, last.calls + 1, last.failures + failed, last.slow + slow)
    return (*recent, counted)
