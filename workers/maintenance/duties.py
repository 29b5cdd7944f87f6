"""The fleet's duties: what must go on for calls to be made, done by one worker at a time.

Every worker's parent process has a thread that asks for the lease of the duties, whatever the
worker's queues and pool. The one that holds it does them; if it dies or is frozen, another one
takes over when the lease ends. The duties are harmless when done twice, so the lease only saves
work. They don't depend on the worker's slots, its event loop or its broker connection.
"""

import os
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from celery import bootsteps
from celery.worker.components import Pool

from sisgate.errors import BrokerUnavailable, SisgateError
from sisgate.logs import get_logger
from sisgate.redis.keys import DUTIES_LEASE
from sisgate.redis.leases import Lease
from workers.maintenance import alerts, reconciler, removed_providers, rollups, webhooks
from workers.runtime import Runtime, runtime_of

log = get_logger()

EVERY_SECONDS = 1.0
"""How often each worker asks for the lease, and its holder does what is due."""

LEASE_SECONDS = 3.0
"""How long after its holder's death or freeze another worker takes over at the latest."""

FAILED_SECONDS = (2.0, 4.0)
"""How long a worker whose duties failed leaves them to others; drawn, so that they take turns."""

ALONE_SECONDS = (4.0, 8.0)
"""How often each worker does what the ledger alone allows while there is no Redis for a lease."""

FORK_SECONDS = 2.0
"""How long a fork waits for the thread to be between two turns."""


@dataclass(frozen=True, slots=True)
class Duty:
    """One duty, and how often it is done."""

    name: str
    do: Callable[[Runtime], None]
    every_seconds: float


RECONCILE = Duty("reconcile", reconciler.reconcile, 1.0)
ALERTS = Duty("alerts", alerts.watch, 1.0)
WEBHOOKS = Duty("webhooks", webhooks.deliver, 1.0)
DUTIES = (
    RECONCILE,
    WEBHOOKS,
    ALERTS,
    Duty("redeliver", reconciler.redeliver, 5.0),
    Duty("drain", removed_providers.end_stray_jobs, 10.0),
    Duty("watch providers", webhooks.watch_providers, 5.0),
    Duty("age", reconciler.age, 60.0),
    Duty("count", rollups.count, 5.0),
)


class Turns:
    """One process's part in the duties; not thread-safe. `holder` names it in the lease."""

    def __init__(self, runtime: Runtime, holder: str) -> None:
        self._runtime = runtime
        self._lease = Lease(runtime.redis, DUTIES_LEASE(), holder, LEASE_SECONDS)
        self._due: dict[str, float] = {}
        self._alone_at = 0.0

    def take(self) -> float:
        """Do what is due if it is this process's turn; return the seconds until the next one.

        Never raises. A process whose duties fail gives the lease to the others: it may be the only
        one that does not reach the ledger.
        """
        clock, succeeded = self._runtime.clock, True
        begun = clock.monotonic()
        for duty in [duty for duty in DUTIES if self._due.get(duty.name, begun) <= begun]:
            try:
                # Renewed before each one, and asked for before the first.
                is_ours = self._lease.hold()
            except BrokerUnavailable:
                return self._take_alone(begun)
            if not is_ours:
                self._due.clear()
                return EVERY_SECONDS
            self._due[duty.name] = begun + duty.every_seconds
            succeeded = self._do(duty) and succeeded
        if not succeeded:
            self.give_up()
            return random.uniform(*FAILED_SECONDS)
        return max(0.0, begun + EVERY_SECONDS - clock.monotonic())

    def give_up(self) -> None:
        """Let another process have the next turn."""
        self._due.clear()
        with suppress(BrokerUnavailable):
            self._lease.release()

    def _take_alone(self, now: float) -> float:
        # Jobs still end in time, calls of lost workers are put back, apps are told, and so are
        # operators.
        if now >= self._alone_at:
            self._alone_at = now + random.uniform(*ALONE_SECONDS)
            self._do(RECONCILE)
            self._do(WEBHOOKS)
            self._do(ALERTS)
        return EVERY_SECONDS

    def _do(self, duty: Duty) -> bool:
        try:
            duty.do(self._runtime)
        except SisgateError as error:
            log.warning("duty_failed", duty=duty.name, code=error.code, reason=error.message)
        except Exception:
            log.exception("duty_failed", duty=duty.name)
        else:
            return True
        return False


class Duties(bootsteps.StartStopStep):
    """Runs the thread for as long as the worker, also while it has no connection to the broker."""

    requires = (Pool,)  # type: ignore[assignment]  # typed as an empty tuple

    def __init__(self, worker: Any, **_: Any) -> None:
        self._stopped = threading.Event()
        self._turns: Turns | None = None
        self._runtime: Runtime | None = None

    def start(self, worker: Any) -> None:
        """Start the thread; the pool has been forked."""
        # Connections of its own, which it keeps: the loop's must not outlive a fork. The reference
        # keeps a child from collecting, and so closing, those of its parent.
        self._runtime = runtime = Runtime(runtime_of(worker.app).settings)
        runtime.gate = gate = ForkGate()
        self._turns = Turns(runtime, f"{worker.hostname}/{os.getpid()}")
        args = (self._turns, gate, self._stopped)
        threading.Thread(target=_take_turns, args=args, daemon=True, name="sisgate-duties").start()

    def stop(self, worker: Any) -> None:
        """End the thread after its turn, before the pool finishes its calls."""
        self._stopped.set()
        if self._runtime is not None:
            self._runtime.webhook_senders.stop()
            self._runtime.alert_judge.stop()

    terminate = stop


class ForkGate:
    """Keeps turns and forks apart, so that no library's lock is copied while it is held.

    A pool that replaces a child forks beside the threads: that of the duties, that which judges
    alerts and those that send webhooks, several of which may be inside. One that stays inside
    longer than the fork waits is mostly waiting itself, for a server or a file, and then holds no
    such lock.
    """

    def __init__(self) -> None:
        self._renew()
        os.register_at_fork(
            before=self._close, after_in_parent=self._open, after_in_child=self._renew
        )

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_closing)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def _close(self) -> None:
        self._changed.acquire()
        self._is_closing = True
        self._changed.wait_for(lambda: self._inside == 0, FORK_SECONDS)

    def _open(self) -> None:
        self._is_closing = False
        self._changed.notify_all()
        self._changed.release()

    def _renew(self) -> None:
        self._changed = threading.Condition()
        self._inside, self._is_closing = 0, False


def _take_turns(turns: Turns, gate: ForkGate, stopped: threading.Event) -> None:
    seconds = 0.0
    while not stopped.wait(seconds):
        with gate:
            seconds = turns.take()
    turns.give_up()
