"""Any history of grants, crashes, lost state and operators keeps the provider within its limits.

Beside the limiter runs a model in plain Python that knows nothing of buckets and reserves: it
counts what the provider could have seen at worst. The limiter may be stricter than the model where
it says why (`bucket`, `reserve`), and never more generous.
"""

from dataclasses import dataclass
from datetime import timedelta
from itertools import count, pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sisgate.admission.limiter import Limiter
from sisgate.admission.spec import LimitSpec
from sisgate.admission.state import Grant, LedgerCall
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.redis.client import RedisClient
from testbed.clock import ManualClock
from tests.integration.admission.fleet import Span, most_in_a_window

LEASE_SECONDS = 8.0
MILLISECONDS = st.integers(1, 12_000).map(lambda ms: ms / 1000)
SPECS = [
    LimitSpec((Rate(4, 10),), lease_seconds=LEASE_SECONDS),
    LimitSpec((Rate(12, 20), Rate(3, 2)), lease_seconds=LEASE_SECONDS),
    LimitSpec((Rate(30, 10),), burst=8, max_concurrency=5, lease_seconds=LEASE_SECONDS),
    LimitSpec((Rate(10, 5),), min_interval_seconds=0.4, lease_seconds=LEASE_SECONDS),
    LimitSpec((Rate(6, 10),), lease_seconds=LEASE_SECONDS, arrival_bound_seconds=0.5),
]


@dataclass(eq=False)
class Call:
    """A call as its provider and the ledger know it."""

    permit: str
    granted: float
    lease_ends: float
    ended: float | None = None

    def span(self, spec: LimitSpec) -> Span:
        """Return the time in which the provider may have seen it."""
        seen_by = self.lease_ends if self.ended is None else self.ended
        if spec.arrival_bound_seconds is not None:
            seen_by = min(seen_by, self.granted + spec.arrival_bound_seconds)
        return Span(self.granted, seen_by)


class LimiterMachine(RuleBasedStateMachine):
    """A fleet that does anything, in time that moves by steps of up to twelve seconds."""

    redis: RedisClient
    names = count()

    def __init__(self) -> None:
        super().__init__()
        self.provider = f"p{next(self.names)}"
        self.clock = ManualClock()
        self.limiter = Limiter(self.redis, script_clock=self.clock)
        self.calls: list[Call] = []
        self.blocked_until = 0.0
        self.paused = False
        self.lost = False
        self.last_grant = 0.0
        self.spec = SPECS[0]

    @property
    def now(self) -> float:
        """The time of the model."""
        return self.clock.monotonic()

    @property
    def running(self) -> list[Call]:
        """The calls that have not ended and whose lease has not."""
        return [c for c in self.calls if c.ended is None and c.lease_ends > self.now]

    @initialize(spec=st.sampled_from(SPECS))
    def first_start(self, spec: LimitSpec) -> None:
        """The ledger is empty."""
        self.spec = spec
        assert self.limiter.rebuild(self.provider, spec, [])

    @rule(seconds=MILLISECONDS)
    def time_passes(self, seconds: float) -> None:
        """The clock moves."""
        self.clock.advance(seconds)

    @rule(priority=st.sampled_from(Priority), want=st.integers(1, 8))
    def take(self, priority: Priority, want: int) -> None:
        """A worker asks for permits."""
        grant = self.limiter.take(self.provider, self.spec, priority, want)
        room = self.room()
        assert len(grant.permits) <= min(want, room)
        if not grant:
            assert grant.wait_seconds > 0
            assert grant.reason != "reserve" or priority is not Priority.URGENT
            if not self.lost and grant.reason not in {"bucket", "reserve"}:
                assert room == 0
        self.granted(grant)

    @precondition(lambda self: not self.paused and self.now >= self.blocked_until)
    @rule()
    def wait_as_told(self) -> None:
        """Who waits exactly as long as told, each time, gets a permit in the end."""
        for _ in range(40):
            grant = self.limiter.take(self.provider, self.spec, Priority.URGENT)
            if grant:
                self.granted(grant)
                return
            assert grant.wait_seconds > 0
            wait = grant.wait_seconds
            if grant.reason == "concurrency":
                wait = max(wait, *(call.lease_ends - self.now for call in self.running))
            self.clock.advance(wait)
        pytest.fail("no permit after forty waits")

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """A call ends."""
        call = data.draw(st.sampled_from(self.running))
        self.limiter.finish(self.provider, call.permit)
        call.ended = self.now

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def finish_again(self, data: st.DataObject) -> None:
        """A second finish, by a second delivery, is harmless."""
        ended = [call for call in self.calls if call.ended is not None]
        if ended:
            self.limiter.finish(self.provider, data.draw(st.sampled_from(ended)).permit)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def hand_back(self, data: st.DataObject) -> None:
        """A permit was not used: the provider saw nothing."""
        call = data.draw(st.sampled_from(self.running))
        if self.limiter.hand_back(self.provider, call.permit):
            self.calls.remove(call)

    @rule(keep_scripts=st.booleans(), ledger_has_permits=st.booleans())
    def lose_state(self, keep_scripts: bool, ledger_has_permits: bool) -> None:
        """Redis is emptied, and two workers rebuild from the ledger."""
        self.redis.flushall()
        if not keep_scripts:
            self.redis.script_flush()
        assert self.limiter.take(self.provider, self.spec, Priority.URGENT).reason == "unknown"
        self.clock.advance(0.001)
        self.blocked_until, self.paused, self.lost = 0.0, False, True
        assert self.limiter.rebuild(self.provider, self.spec, self.ledger(ledger_has_permits))
        assert not self.limiter.rebuild(self.provider, self.spec, [])

    @rule(seconds=MILLISECONDS)
    def block(self, seconds: float) -> None:
        """The provider answers 429 with a Retry-After."""
        self.limiter.block(self.provider, seconds)
        self.blocked_until = max(self.blocked_until, self.now + seconds)

    @rule(pause=st.booleans())
    def operator(self, pause: bool) -> None:
        """An operator pauses or resumes."""
        self.paused = pause
        if pause:
            self.limiter.pause(self.provider)
        else:
            self.limiter.resume(self.provider)

    @invariant()
    def the_provider_never_sees_too_much(self) -> None:
        """However the arrivals fell between grant and completion."""
        spans = [call.span(self.spec) for call in self.calls]
        for rate in self.spec.windows:
            assert most_in_a_window(spans, rate.period_seconds) <= rate.calls

    @invariant()
    def grants_keep_the_interval(self) -> None:
        """Never two grants within the interval."""
        grants = sorted(call.granted for call in self.calls)
        interval = self.spec.min_interval_seconds - 1e-6
        if interval > 0:
            assert all(b - a >= interval for a, b in pairwise(grants))

    def room(self) -> int:
        """Return the permits that could be granted now at most, by the model."""
        if self.paused or self.now < self.blocked_until - 1e-6:
            return 0
        rooms = [rate.calls - self.counted(rate.period_seconds) for rate in self.spec.windows]
        if self.spec.max_concurrency is not None:
            rooms.append(self.spec.max_concurrency - len(self.running))
        if self.spec.min_interval_seconds:
            waited = self.now - self.last_grant
            rooms.append(1 if waited >= self.spec.min_interval_seconds - 1e-6 else 0)
        return max(0, min(rooms))

    def counted(self, period: float) -> int:
        """Return how many calls the provider may have seen within the last period, or may yet."""
        return sum(c.span(self.spec).completed + period > self.now + 1e-6 for c in self.calls)

    def granted(self, grant: Grant) -> None:
        """Remember what was granted now."""
        ends = self.now + LEASE_SECONDS
        self.calls += [Call(permit, self.now, ends) for permit in grant.permits]
        if grant:
            self.last_grant = self.now

    def ledger(self, with_permits: bool) -> list[LedgerCall]:
        """Return what the ledger tells a rebuilder."""
        start = self.clock.now() - timedelta(seconds=self.now)
        return [
            LedgerCall(
                started_at=start + timedelta(seconds=call.granted),
                completed_at=None if call.ended is None else start + timedelta(seconds=call.ended),
                lease_until=start + timedelta(seconds=call.lease_ends),
                permit=call.permit if with_permits else None,
            )
            for call in self.calls
        ]


def test_no_history_makes_the_provider_see_too_much(redis: RedisClient) -> None:
    """Grants, crashes, late finishes, lost state, blocks and pauses in any order."""
    LimiterMachine.redis = redis
    run_state_machine_as_test(
        LimiterMachine, settings=settings(max_examples=150, stateful_step_count=60, deadline=None)
    )
