"""pybreaker's breaker of one endpoint, with its state and its decisions shared by the fleet.

pybreaker 1.4.1 decides in each process: it counts there, every instance probes when half-open, an
excluded exception counts as a success, and `call` holds a lock while the function runs. Here its
`CircuitBreaker` keeps its face (name, listeners, states, errors, `call`, `calling`, decorators),
and each question and each outcome is one script in Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, TypeVar

import pybreaker
import structlog

from sisgate.breakers.fleet import FleetBreakers
from sisgate.breakers.spec import BreakerView, EndpointHeld, Pass, State, Transition
from sisgate.clock import Clock, SystemClock
from sisgate.domain.response_class import Outcome
from sisgate.errors import BrokerUnavailable

log = structlog.get_logger()

T = TypeVar("T")


class BreakerOpen(EndpointHeld, pybreaker.CircuitBreakerError):
    """The breaker let no call pass: ours, and pybreaker's own error for it."""


class TransitionListener(pybreaker.CircuitBreakerListener):
    """A pybreaker listener that is also told why. Each transition is told once in the fleet."""

    def transition(self, cb: FleetBreaker, transition: Transition) -> None:
        """Hear of a transition, also of those where only a pin came or went."""


@dataclass
class Passage:
    """A call under way. Who makes it may judge it; else an exception is a failure.

    `took_seconds` None: as long as the passage was open.
    """

    leave: Pass
    outcome: Outcome | None = None
    took_seconds: float | None = None

    def judge(self, outcome: Outcome, took_seconds: float | None = None) -> None:
        """Say what the call tells about its endpoint."""
        self.outcome = outcome
        self.took_seconds = took_seconds


class FleetStorage(pybreaker.CircuitBreakerStorage):
    """What pybreaker asks of a storage. It may read everything and change nothing.

    Counting and resetting are part of the scripts: an instance whose knowledge is old must not
    reset what others have counted.
    """

    def __init__(self, fleet: FleetBreakers, endpoint: str) -> None:
        super().__init__(f"{fleet.provider}/{endpoint}")
        self._fleet = fleet
        self._endpoint = endpoint

    @property
    def view(self) -> BreakerView:
        """What is known of the endpoint's breaker; `BrokerUnavailable` without Redis."""
        return next(v for v in self._fleet.views() if v.endpoint == self._endpoint)

    @property  # type: ignore[misc]  # only the scripts write it
    def state(self) -> str:
        """The state; open while Redis cannot be reached, because then no call passes."""
        try:
            return self.view.state.value
        except BrokerUnavailable:
            return pybreaker.STATE_OPEN

    @property
    def counter(self) -> int:
        """Failures in a row."""
        return self.view.failures_in_a_row

    @property
    def success_counter(self) -> int:
        """Successes while half-open."""
        return self.view.successes

    @property  # type: ignore[misc]  # only the scripts write it
    def opened_at(self) -> datetime | None:
        """None: how long an opening lasts is decided in the scripts."""
        return None


class FleetBreaker(pybreaker.CircuitBreaker):
    """The breaker of one endpoint. Safe to share between threads; nothing is locked in a call.

    Where Redis cannot be reached, `ask`, `calling` and `call` raise `BrokerUnavailable` and no call
    is made. An outcome that cannot be told is logged and lost: at worst a probe's lease runs out.
    `exclude` are the exceptions that are neutral. The methods `open`, `close` and `half_open` pin
    the state, `auto` ends that.
    """

    def __init__(
        self,
        fleet: FleetBreakers,
        endpoint: str,
        *,
        listeners: Sequence[pybreaker.CircuitBreakerListener] = (),
        exclude: Iterable[type[BaseException] | Callable[[Any], bool]] = (),
        clock: Clock | None = None,
    ) -> None:
        self._fleet = fleet
        self._endpoint = endpoint
        self._clock = clock or SystemClock()
        self._storage = FleetStorage(fleet, endpoint)
        spec = fleet.spec
        super().__init__(
            fail_max=spec.fail_max,
            reset_timeout=spec.open_seconds,
            success_threshold=spec.success_threshold,
            exclude=list(exclude),
            listeners=list(listeners),
            state_storage=self._storage,
            name=self._storage.name,
        )

    @property
    def endpoint(self) -> str:
        """The endpoint that is guarded."""
        return self._endpoint

    def ask(self) -> Passage:
        """Ask to make a call; `BreakerOpen` with the seconds to wait where none may be made."""
        asked = self._fleet.ask(self._endpoint)
        self._tell(asked.transitions)
        if asked.leave is None:
            raise BreakerOpen(
                f"The circuit breaker of {self.name} is {asked.state} and lets no call pass now.",
                seconds=asked.wait_seconds,
                endpoint=self._endpoint,
            )
        return Passage(asked.leave)

    def report(self, passage: Passage, error: BaseException | None = None) -> None:
        """Tell what came of a call that was let pass."""
        outcome = passage.outcome or self._outcome_of(error)
        took = passage.took_seconds or 0.0
        try:
            transitions = self._fleet.report(self._endpoint, passage.leave, outcome, took)
        except BrokerUnavailable:
            log.warning("breaker_outcome_lost", breaker=self.name, outcome=outcome.value)
            return
        self._tell_call(outcome, error)
        self._tell(transitions)

    @contextmanager
    def calling(self) -> Iterator[Passage]:
        """Guard the body of a `with` statement, which may `judge` its passage."""
        passage = self.ask()
        begun = self._clock.monotonic()
        error: BaseException | None = None
        try:
            yield passage
        except BaseException as caught:
            error = caught
            raise
        finally:
            if passage.took_seconds is None:
                passage.took_seconds = self._clock.monotonic() - begun
            self.report(passage, error)

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function guarded."""
        with self.calling():
            for listener in self.listeners:
                listener.before_call(self, func, *args, **kwargs)
            return func(*args, **kwargs)

    def call_async(self, func: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Tornado's coroutines are not offered."""
        raise NotImplementedError("guard a coroutine's body with `calling`")

    @property  # type: ignore[misc]  # only the scripts write it
    def state(self) -> Any:
        """The state as it is now, as pybreaker's object. Looking notifies nobody."""
        return self._create_new_state(self.current_state)

    def pin(self, state: State, until: datetime | None = None) -> None:
        """Fix the state by hand; no traffic moves it."""
        self._tell(self._fleet.pin(self._endpoint, state, until))

    def open(self) -> bool:
        """Pin open: no call passes until `auto`."""
        self.pin(State.OPEN)
        return True

    def half_open(self) -> None:
        """Pin half-open: calls pass one at a time, whatever comes of them, until `auto`."""
        self.pin(State.HALF_OPEN)

    def close(self) -> None:
        """Pin closed: every call passes, whatever comes of them, until `auto`."""
        self.pin(State.CLOSED)

    def auto(self) -> None:
        """End a pin."""
        self._tell(self._fleet.unpin(self._endpoint))

    def _outcome_of(self, error: BaseException | None) -> Outcome:
        if error is None:
            return Outcome.SUCCESS
        # What ends a process or a greenlet says nothing about the endpoint.
        if not isinstance(error, Exception) or not self.is_system_error(error):
            return Outcome.NEUTRAL
        return Outcome.FAILURE

    def _tell_call(self, outcome: Outcome, error: BaseException | None) -> None:
        for listener in self.listeners:
            if outcome is Outcome.SUCCESS:
                listener.success(self)
            elif outcome is Outcome.FAILURE:
                listener.failure(self, error or RuntimeError("judged a failure"))

    def _tell(self, transitions: Iterable[Transition]) -> None:
        for transition in transitions:
            before, after = (
                self._create_new_state(state.value)
                for state in (transition.before, transition.after)
            )
            for listener in self.listeners:
                if isinstance(listener, TransitionListener):
                    listener.transition(self, transition)
                if transition.before is not transition.after:
                    listener.state_change(self, before, after)
