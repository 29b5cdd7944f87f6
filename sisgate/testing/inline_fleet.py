"""A fleet in the thread that waits: its planner, worker and reconciler, one step at a time."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sisgate.gateway import Gateway
from sisgate.ledger import due
from sisgate.ledger.due import QueuedCall
from sisgate.testing.clock import SteppedClock
from sisgate.testing.worker_code import worker_code
from sisgate.wakeups import Waiter, Wake, Wakeups

TICK_SECONDS = 0.01
"""How long each call takes, so that times differ."""

STEP_SECONDS = 1.0
"""How far the time moves where nothing says when the next thing is due."""

PATIENCE_SECONDS = 40 * 86_400.0
"""How far it moves, at most, while somebody waits without a timeout."""


class InlineFleet:
    """Does what is due when somebody waits. Safe to use from several threads, one at a time."""

    def __init__(self, runtime: Any, clock: SteppedClock) -> None:
        self._runtime = runtime
        self.clock = clock
        self._code = worker_code()
        self._lock = threading.RLock()
        self.is_working = True
        """Whether calls are made; if not, time passes and nothing else does."""

    def work(self) -> int:
        """Do all that is due now, without moving the time but for a moment a call.

        Returns the number of calls that were made.
        """
        made = 0
        with self._lock:
            while calls := self._step():
                made += calls
        return made

    def drive(self, is_over: Callable[[], bool], seconds: float | None) -> bool:
        """Work and move the time until it is over; return whether that came within `seconds`."""
        begun = self.clock.monotonic()
        longest = PATIENCE_SECONDS if seconds is None else seconds
        while not is_over():
            with self._lock:
                left = longest - (self.clock.monotonic() - begun)
                if left <= 0 and seconds is None:
                    raise AssertionError(
                        "Nothing would ever end this wait: calls are not made, or a provider takes "
                        "none until somebody resumes it. Give the wait a timeout."
                    )
                if left <= 0:
                    return False
                if not (self.is_working and self._step()):
                    self.clock.move(min(left, self._idle_seconds()))
        return True

    def _step(self) -> int:
        """Plan what was accepted and make the calls that are queued; return how many were made."""
        runtime, made = self._runtime, 0
        self._code.reconciler.reconcile(runtime)
        with runtime.database.read() as session:
            accepted = due.accepted(session)
        for job_id in accepted:
            self._code.planning.plan(runtime, job_id)
        for call in self._queued():
            config = runtime.configuration.current().providers.get(call.provider)
            if config is None or self._held_seconds(call):
                continue
            self._code.execute.make_call(runtime, config, call.id)
            self.clock.move(TICK_SECONDS)
            made += 1
        return made

    def _queued(self) -> Sequence[QueuedCall]:
        with self._runtime.database.read() as session:
            return due.queued(session)

    def _held_seconds(self, call: QueuedCall) -> float:
        """Return how long admission would leave a call in its queue; infinite while paused."""
        runtime = self._runtime
        config = runtime.configuration.current().providers[call.provider]
        held: float = runtime.endpoints(config).breakers.open_seconds() or 0.0
        state = runtime.limiter.state(call.provider, runtime.limits(config))
        if state.paused_until is not None:
            held = max(held, (state.paused_until - self.clock.now()).total_seconds())
        permit = state.next_permit_in_seconds.get(call.priority, 0.0)
        longest: float = max(held, state.blocked_seconds, permit)
        return longest

    def _idle_seconds(self) -> float:
        """Return how long it takes until something is due."""
        now = self.clock.now()
        with self._runtime.database.read() as session:
            times = [due.next_due(session), due.next_deadline(session)]
        waits = [(each - now).total_seconds() for each in times if each is not None]
        if self.is_working:
            waits += map(self._held_seconds, self._queued())
        return min((each for each in waits if each > 0), default=STEP_SECONDS) + TICK_SECONDS


@dataclass(frozen=True)
class InlineWaiter(Waiter):
    """Works until the job has ended."""

    _fleet: InlineFleet

    def wait(
        self, ended: Callable[[], bool], timeout_seconds: float | None, *, is_new: bool = False
    ) -> bool:
        """Work until `ended()`; return False when the time is up, by the clock of the test."""
        return self._fleet.drive(ended, timeout_seconds)


class InlineWakeups(Wakeups):
    """Whoever waits for a job's end works until then."""

    def __init__(self, gateway: Callable[[], Gateway], fleet: Callable[[], InlineFleet]) -> None:
        self._gateway = gateway
        self._fleet = fleet

    def announce(self, job_id: str) -> None:
        """Do nothing: nobody waits who does not look."""

    def signal_work(self, provider: str, pipe: Any = None) -> None:
        """Do nothing: work is done when somebody waits."""

    @contextmanager
    def waiter(self, job_id: str) -> Iterator[Waiter]:
        """Give what works until the end of a job."""
        fleet = self._fleet()
        yield InlineWaiter(threading.Event(), fleet.clock, fleet)

    @contextmanager
    def watch(self, job_id: str, wake: Wake) -> Iterator[None]:
        """Within the block, work in another thread until the job has ended, then call `wake`."""
        is_over, fleet = threading.Event(), self._fleet()

        def follow() -> None:
            while not is_over.is_set():
                status = self._gateway().jobs.statuses([job_id])
                if status and status[0].is_final:
                    wake()
                    return
                if not (fleet.is_working and fleet.work()):
                    is_over.wait(0.005)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def close(self) -> None:
        """There is nothing to close."""
