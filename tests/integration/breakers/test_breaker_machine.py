"""Any history of calls, crashes and operators moves the scripts in Redis as the plain rules say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

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

from sisgate.breakers.fleet import FleetBreakers
from sisgate.breakers.journal import read_journals
from sisgate.breakers.spec import BreakerSpec, BreakerToken, State, Transition
from sisgate.domain.response_class import Outcome
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import PROBE_GATE
from testbed.clock import ManualClock
from tests import breaker_rules as rules
from tests.breaker_rules import Breaker

ENDPOINTS = ("https://a.test", "https://b.test")
SPECS = [
    BreakerSpec(fail_max=3, minimum_calls=4, open_seconds=5, open_cap_seconds=30),
    BreakerSpec(
        fail_max=100,
        failure_rate=0.4,
        minimum_calls=3,
        window_seconds=10,
        open_seconds=2,
        healthy_seconds=20,
        success_threshold=1,
        probe_lease_seconds=4,
    ),
    BreakerSpec(
        fail_max=50,
        slow_rate=0.5,
        slow_seconds=1,
        minimum_calls=2,
        window_seconds=7,
        open_seconds=1,
        open_cap_seconds=3,
        jitter=0.0,
        probe_lease_seconds=3,
    ),
]
TIMES = st.one_of(st.integers(1, 3000), st.integers(1, 60_000)).map(lambda ms: ms / 1000)


@dataclass(frozen=True)
class Running:
    """A call that was let pass and has not ended."""

    endpoint: str
    token: BreakerToken
    until: float


class BreakerMachine(RuleBasedStateMachine):
    """A fleet of callers and an operator, in time that moves by steps."""

    redis: RedisClient
    names = count()

    def __init__(self) -> None:
        super().__init__()
        self.provider = f"p{next(self.names)}"
        self.clock = ManualClock()
        self.draw = 0.0
        self.running: list[Running] = []
        self.model = dict.fromkeys(ENDPOINTS, Breaker())
        self.changes: list[tuple[str, Transition]] = []

    @initialize(spec=st.sampled_from(SPECS))
    def begin(self, spec: BreakerSpec) -> None:
        """The provider is configured."""
        self.spec = spec
        self.fleet = FleetBreakers(
            self.redis,
            self.provider,
            ENDPOINTS,
            spec,
            script_clock=self.clock,
            draw=lambda: self.draw,
        )

    @property
    def now(self) -> int:
        """The time in milliseconds."""
        return round(self.clock.now().timestamp() * 1000)

    @rule(seconds=TIMES)
    def time_passes(self, seconds: float) -> None:
        """The clock moves."""
        self.clock.advance(seconds)

    @rule(endpoint=st.sampled_from(ENDPOINTS))
    def wait_until_due(self, endpoint: str) -> None:
        """The clock moves to when a call could pass, if it ever does by itself."""
        wait = rules.wait_ms(self.model[endpoint], self.now)
        if 0 < wait < 1e12:
            self.clock.advance(wait / 1000)

    @rule(endpoint=st.sampled_from(ENDPOINTS))
    def ask(self, endpoint: str) -> None:
        """A worker asks to call."""
        before = self.probes(endpoint)
        self.model[endpoint], token, changes = rules.ask(self.model[endpoint], self.spec, self.now)
        asked = self.fleet.ask(endpoint)
        assert asked.token == token
        self.compare(endpoint, asked.transitions, changes)
        if token is None:
            wait = rules.wait_ms(self.model[endpoint], self.now)
            assert asked.wait_seconds == seconds(wait)
            return
        if token.probe:
            assert not before, "two probes at once"
        lease = self.spec.probe_lease_seconds
        self.running.append(Running(endpoint, token, self.clock.monotonic() + lease))

    @precondition(lambda self: self.running)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(Outcome),
        took=st.sampled_from([0.0, 0.999, 1.0, 70.0]),
        draw=st.floats(0, 1, exclude_max=True),
        again=st.booleans(),
    )
    def report(
        self, data: st.DataObject, outcome: Outcome, took: float, draw: float, again: bool
    ) -> None:
        """A call ends, perhaps late; a second delivery may tell it twice."""
        call = data.draw(st.sampled_from(self.running))
        if not again:
            self.running.remove(call)
        self.tell(call, outcome, took, draw)

    @rule(
        endpoint=st.sampled_from(ENDPOINTS),
        outcome=st.sampled_from([Outcome.SUCCESS, Outcome.FAILURE]),
        times=st.integers(2, 6),
    )
    def run_of_calls(self, endpoint: str, outcome: Outcome, times: int) -> None:
        """Calls one after the other fare alike."""
        for _ in range(times):
            self.ask(endpoint)
            if self.running and self.running[-1].endpoint == endpoint:
                self.tell(self.running.pop(), outcome, 0.5, 0.25)

    def tell(self, call: Running, outcome: Outcome, took: float, draw: float) -> None:
        """Tell both what came of a call."""
        self.draw = draw
        self.model[call.endpoint], changes = rules.report(
            self.model[call.endpoint], self.spec, call.token, outcome, took * 1000, self.now, draw
        )
        told = self.fleet.report(call.endpoint, call.token, outcome, took)
        self.compare(call.endpoint, told, changes)

    @precondition(lambda self: self.running)
    @rule()
    def crash(self) -> None:
        """A worker dies with its call."""
        self.running.pop()

    @rule(
        endpoint=st.sampled_from(ENDPOINTS),
        state=st.sampled_from(State),
        seconds=st.none() | st.integers(1, 40),
    )
    def pin(self, endpoint: str, state: State, seconds: int | None) -> None:
        """An operator fixes a state."""
        until = None if seconds is None else self.clock.now() + timedelta(seconds=seconds)
        end = float("inf") if until is None else round(until.timestamp() * 1000)
        self.model[endpoint], changes = rules.pin(self.model[endpoint], state, end, self.now)
        self.compare(endpoint, self.fleet.pin(endpoint, state, until), changes)

    @rule(endpoint=st.sampled_from(ENDPOINTS))
    def unpin(self, endpoint: str) -> None:
        """An operator lets traffic decide again."""
        breaker, changes = rules.settle(self.model[endpoint], self.now)
        self.model[endpoint], more = rules.unpin(breaker, self.now)
        self.compare(endpoint, self.fleet.unpin(endpoint), changes + more)

    def compare(
        self, endpoint: str, told: Sequence[Transition], expected: Sequence[Transition]
    ) -> None:
        """Compare the transitions that both have made, and keep them for the journal."""
        assert list(told) == list(expected)
        self.changes += [(endpoint, change) for change in expected]

    def teardown(self) -> None:
        """Each transition is in the journal once, in order, and nothing else is."""
        entries = read_journals(self.redis, [self.provider]).get(self.provider, [])
        assert [(entry.endpoint, entry.transition) for entry in entries] == self.changes

    @invariant()
    def both_know_the_same(self) -> None:
        """What Redis shows of each breaker is what the rules say."""
        if not hasattr(self, "fleet"):
            return
        for view in self.fleet.views():
            told = self.model[view.endpoint]
            wait = rules.wait_ms(told, self.now)
            breaker, _ = rules.settle(told, self.now)
            assert view.state is breaker.state
            assert view.generation == breaker.generation
            assert view.changed_at == moment(breaker.changed_at_ms)
            assert view.failures_in_a_row == breaker.failures
            assert view.openings == breaker.openings
            assert view.pinned == (breaker.pin_until_ms is not None)
            assert (view.calls, view.failures, view.slow) == rules.totals(
                breaker, self.spec, self.now
            )
            assert view.wait_seconds == seconds(wait)

    @invariant()
    def the_hold_lets_nothing_wait_in_vain(self) -> None:
        """The queue is held while nothing could be called, and never longer."""
        if not hasattr(self, "fleet"):
            return
        held = rules.held_ms(self.model.values(), self.now)
        written = self.redis.hget(PROBE_GATE(provider=self.provider), "until")
        if held is None:
            # A pin that ended by itself has opened no gate yet; its time has come all the same.
            assert written is None or float(written) <= self.now
        else:
            assert written is not None
            assert max(0, float(written) - self.now) == (
                held if held < 1e15 else float(written) - self.now
            )

    def probes(self, endpoint: str) -> list[Running]:
        """Return the probes under way whose lease has not ended."""
        generation = rules.settle(self.model[endpoint], self.now)[0].generation
        return [
            call
            for call in self.running
            if call.endpoint == endpoint
            and call.token.probe
            and call.token.generation == generation
            and call.token.probe == self.model[endpoint].probe
            and self.model[endpoint].probe_until_ms > self.now
        ]


def moment(milliseconds: int) -> datetime | None:
    """Return the time of a change; 0 is that of none."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def seconds(milliseconds: float) -> float:
    """Return what the fleet says of a wait; one without end is infinite."""
    return milliseconds / 1000 if milliseconds < 1e15 else float("inf")


def test_no_history_tells_the_scripts_from_the_rules(redis: RedisClient) -> None:
    """Calls, crashes, late and repeated reports, pins, in any order and at any time."""
    BreakerMachine.redis = redis
    run_state_machine_as_test(
        BreakerMachine, settings=settings(max_examples=100, stateful_step_count=50, deadline=None)
    )
