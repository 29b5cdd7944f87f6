"""pybreaker's circuit breaker of one endpoint, with state and decisions shared by the fleet.

pybreaker 1.4.1 decides per process: it counts there, every instance probes when half-open, an
excluded exception counts as a success, and `call` holds a lock while the function runs. Here its
`CircuitBreaker` provides states, errors and listeners; `calling` asks and reports with one script
in Redis each.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import pybreaker

from sisgate.breakers.fleet import FleetBreakers
from sisgate.breakers.spec import BreakerToken, Transition
from sisgate.clock import Clock, SystemClock
from sisgate.domain.response_class import Outcome
from sisgate.errors import BrokerUnavailable, CircuitOpen
from sisgate.logs import get_logger
from sisgate.redis.scripts import ScriptCall

log = get_logger()

T = TypeVar("T")


class BreakerOpen(CircuitOpen, pybreaker.CircuitBreakerError):
    """The endpoint's breaker lets no call pass now; `seconds` may be infinite (pinned open)."""


@dataclass
class BreakerCall:
    """A call inside its breaker. Unless judged, an exception is a failure.

    `took_seconds` None: the time spent inside.
    """

    token: BreakerToken
    outcome: Outcome | None = None
    took_seconds: float | None = None

    def judge(self, outcome: Outcome, took_seconds: float | None = None) -> None:
        """Set what the call says about its endpoint."""
        self.outcome = outcome
        self.took_seconds = took_seconds


class Companion(Protocol):
    """Scripts that run in the round trips of a breaker's `ask` and `report`."""

    def begin(self) -> ScriptCall:
        """Return the script to run with `ask`."""
        ...

    def end(self, outcome: Outcome, took_seconds: float) -> ScriptCall:
        """Return the script to run with `report`."""
        ...


class FleetStorage(pybreaker.CircuitMemoryStorage):
    """Supplies pybreaker with the state of a breaker. Only the scripts change it."""

    def __init__(self, fleet: FleetBreakers, endpoint: str) -> None:
        super().__init__(pybreaker.STATE_CLOSED)
        self._fleet = fleet
        self._endpoint = endpoint

    @property  # type: ignore[misc]  # read-only: no single instance may reset it
    def state(self) -> str:
        """The state; open while Redis is unreachable, because then no call passes."""
        try:
            views = self._fleet.views()
        except BrokerUnavailable:
            return pybreaker.STATE_OPEN
        return next(view.state.value for view in views if view.endpoint == self._endpoint)


class FleetBreaker(pybreaker.CircuitBreaker):
    """The breaker of one endpoint. Safe to share between threads; no lock is held during a call.

    If Redis cannot be reached, `calling` raises `BrokerUnavailable` and no call is made. An outcome
    that cannot be reported is logged and lost: at worst a probe's lease runs out. Each transition
    is logged, and passed to the listeners, once in the fleet: by the process that caused it.
    """

    def __init__(
        self,
        fleet: FleetBreakers,
        endpoint: str,
        *,
        listeners: Sequence[pybreaker.CircuitBreakerListener] = (),
        clock: Clock | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._fleet = fleet
        self._clock = clock or SystemClock()
        super().__init__(
            listeners=list(listeners),
            state_storage=FleetStorage(fleet, endpoint),
            name=f"{fleet.provider}/{endpoint}",
        )

    @contextmanager
    def calling(self, companion: Companion | None = None) -> Iterator[BreakerCall]:
        """Guard a call in the body of a `with` statement, which may `judge` it.

        Raises `BreakerOpen` with the seconds to wait if no call may be made now.
        """
        answer = self._fleet.ask(self.endpoint, *([companion.begin()] if companion else ()))
        self._notify(answer.transitions)
        if answer.token is None:
            if companion is not None:
                self._fleet.run(companion.end(Outcome.NEUTRAL, 0.0))
            raise BreakerOpen(
                f"The circuit breaker of {self.name} is {answer.state} and lets no call pass now.",
                seconds=answer.wait_seconds,
                endpoint=self.endpoint,
            )
        call, begun = BreakerCall(answer.token), self._clock.monotonic()
        failure: BaseException | None = None
        try:
            yield call
        except BaseException as error:
            failure = error
            raise
        finally:
            if call.outcome is None:
                call.outcome = _outcome_of(failure)
            if call.took_seconds is None:
                call.took_seconds = self._clock.monotonic() - begun
            self._report(call.token, call.outcome, call.took_seconds, companion)

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function guarded."""
        with self.calling():
            return func(*args, **kwargs)

    def _report(
        self, token: BreakerToken, outcome: Outcome, took: float, companion: Companion | None
    ) -> None:
        alongside = [companion.end(outcome, took)] if companion else ()
        try:
            transitions = self._fleet.report(self.endpoint, token, outcome, took, *alongside)
        except BrokerUnavailable:
            log.warning("breaker_outcome_lost", breaker=self.name, outcome=outcome.value)
        else:
            self._notify(transitions)

    def _notify(self, transitions: Iterable[Transition]) -> None:
        for transition in transitions:
            log.warning(
                "breaker_changed",
                provider=self._fleet.provider,
                endpoint=self.endpoint,
                before=transition.before.value,
                after=transition.after.value,
                reason=transition.reason,
            )
            if transition.before is transition.after:
                continue  # only a pin was set or removed
            before = self._create_new_state(transition.before.value)
            after = self._create_new_state(transition.after.value)
            for listener in self.listeners:
                listener.state_change(self, before, after)


def _outcome_of(error: BaseException | None) -> Outcome:
    if error is None:
        return Outcome.SUCCESS
    # An exception that ends a process or greenlet says nothing about the endpoint.
    return Outcome.FAILURE if isinstance(error, Exception) else Outcome.NEUTRAL
