"""The thread of one process that judges the rules of alerts.

With thousands of providers it takes seconds, which neither the fleet's other duties nor the pool
may wait for. Nothing is told twice when two processes judge at once: the first to write wins.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

from sisgate.clock import Clock

STOP_SECONDS = 3.0
"""How long a process that ends waits for what is being judged: it is written whole or not at all.
"""


class Judge:
    """Calls `evaluate` once in each slot of time, `every` so long, one at a time.

    `gate` is held meanwhile.
    """

    def __init__(
        self,
        evaluate: Callable[[], object],
        clock: Clock,
        every: Callable[[], timedelta],
        gate: AbstractContextManager[None],
    ) -> None:
        self._evaluate = evaluate
        self._clock = clock
        self._every = every
        self._gate = gate
        self._slot = 0
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Judge, in a thread, if a slot has begun since the last time and the thread has ended.

        Raises what the last one raised, once.
        """
        if self._is_stopped or (self._thread is not None and self._thread.is_alive()):
            return
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        slot = int(self._clock.now().timestamp() // self._every().total_seconds())
        if slot != self._slot:
            self._slot = slot
            self._thread = threading.Thread(target=self._run, name="sisgate-judge", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Judge no more; wait a moment for what is being judged."""
        self._is_stopped = True
        self.join(STOP_SECONDS)

    def join(self, seconds: float) -> None:
        """Wait, for at most so long, for what is being judged."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            with self._gate:
                self._evaluate()
        except Exception as error:  # noqa: BLE001 - the next start raises it
            self._failure = error
