"""Sending the heartbeats of workers and beat, and watching those of the others."""

import atexit
import os
import secrets
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from celery import Celery, bootsteps
from celery.platforms import EX_FAILURE
from celery.signals import after_task_publish, beat_init, worker_init
from celery.worker import state
from celery.worker.consumer.tasks import Tasks

from sisgate import __version__
from sisgate.broker import CALL_TASK_PREFIX
from sisgate.clock import SystemClock
from sisgate.configuration import FleetConfiguration
from sisgate.credentials.master import master_keys
from sisgate.errors import BrokerUnavailable, CredentialError
from sisgate.liveness.heartbeats import EVERY_SECONDS, ClockDifference, Heartbeat
from sisgate.liveness.judgement import obstacles_of
from sisgate.liveness.obstacles import Obstacle
from sisgate.logs import get_logger
from sisgate.settings.fleet import FleetSettings
from workers.admission.fetcher import is_shutting_down, slots_of
from workers.admission.following import LOOK_SECONDS
from workers.runtime import Runtime, runtime_of

log = get_logger()

MOST_PROBLEMS = 5
"""How many parts of the configuration that it cannot use a process reports."""

LASTING_SECONDS = 10.0
"""How long an obstacle must be present to be logged; those of a starting or stopping fleet pass."""

REPEAT_SECONDS = 60.0
"""How often a lasting obstacle is logged again."""


class Pulse:
    """The heartbeat of one process. It never raises: others report an unavailable Redis."""

    def __init__(self, runtime: Runtime, **identity: Any) -> None:
        self._runtime = runtime
        self._heartbeats = runtime.heartbeats
        self._machine = SystemClock()
        self.clock_fault: str | None = None
        """Why this host must not run workers, as of the last heartbeat."""
        self._identity = {
            "id": secrets.token_hex(8),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": __version__,
            **identity,
        }
        self._master_keys: tuple[str, ...] = ()
        self._watch = Watch()
        self._sending = threading.Lock()
        self.version: int | None = None
        """The version of the configuration that was last reported."""

    def send(self, fleet: FleetConfiguration, **news: Any) -> None:
        """Report that the process is alive and which configuration it follows, with other news.

        Also watch the others, if it is its turn.
        """
        with self._sending:
            self._send(fleet, news)

    def _send(self, fleet: FleetConfiguration, news: Mapping[str, Any]) -> None:
        try:
            clock = self._heartbeats.clock_difference(self._machine)
            self.clock_fault = clock_fault(clock, fleet)
            heartbeat = Heartbeat(
                clock_offset_seconds=clock.seconds,
                clock_error_seconds=clock.error_seconds,
                master_keys=self._masters(),
                configuration=fleet.version,
                not_understood=fleet.problems[:MOST_PROBLEMS],
                parts=self._runtime.parts_of(fleet),
                **self._identity,
                **news,
            )
            if self._heartbeats.send(heartbeat):
                present = obstacles_of(
                    self._heartbeats.read(),
                    fleet.providers,
                    version=__version__,
                    configuration=fleet.version,
                )
                self._watch.check(present, self._runtime.clock.monotonic())
            self.version = fleet.version
        except BrokerUnavailable as error:
            log.debug("heartbeat_not_sent", reason=error.message)

    def _masters(self) -> tuple[str, ...]:
        """Return the ids of the master keys, cached once known, as in the pool."""
        if not self._master_keys:
            with suppress(CredentialError):
                keys = master_keys(self._runtime.settings)
                self._master_keys = tuple(key.id.hex() for key in keys)
        return self._master_keys

    def withdraw(self) -> None:
        """Report that the process stops in an orderly way."""
        with suppress(BrokerUnavailable):
            self._heartbeats.withdraw(self._identity["id"])


def clock_fault(clock: ClockDifference, settings: FleetSettings) -> str | None:
    """Return why a host with such a clock must not run workers, or None if it may.

    Times compared across hosts are by one clock, whatever a host's is. But a host this far off is
    misconfigured: certificates, logs and Celery's own times would be wrong there.
    """
    most = settings.max_clock_difference
    off = timedelta(seconds=round(abs(clock.seconds)))
    if off - timedelta(seconds=clock.error_seconds) <= most:
        return None
    where = "ahead of" if clock.seconds > 0 else "behind"
    return (
        f"The clock of host {socket.gethostname()} is {off} {where} that of Redis, more "
        f"than max_clock_difference ({most}). No worker or beat runs here until it is "
        "synchronised (chrony, systemd-timesyncd)."
    )


def refuse_wrong_clock(runtime: Runtime) -> None:
    """Exit with a message if this host's clock is too far off."""
    with suppress(BrokerUnavailable):
        difference = runtime.heartbeats.clock_difference(SystemClock())
        if (fault := clock_fault(difference, runtime.configuration.current())) is not None:
            log.error("clock_refused", reason=fault)
            sys.exit(f"sisgate: {fault}")


class Watch:
    """Logs the fleet's lasting obstacles, repeatedly until they are gone."""

    def __init__(self) -> None:
        self._seen_at: dict[str, float] = {}
        self._logged_at: dict[str, float] = {}

    def check(self, present: list[Obstacle], now: float) -> None:
        """Log the obstacles that have been present for `LASTING_SECONDS`."""
        keys = {f"{obstacle.cause} {obstacle.provider}": obstacle for obstacle in present}
        self._seen_at = {key: self._seen_at.get(key, now) for key in keys}
        for key, obstacle in keys.items():
            logged_at = self._logged_at.get(key)
            is_due = logged_at is None or now - logged_at >= REPEAT_SECONDS
            if is_due and now - self._seen_at[key] >= LASTING_SECONDS:
                what, remedy = obstacle.message, obstacle.remedy
                log.warning("fleet_obstacle", cause=obstacle.cause.value, what=what, remedy=remedy)
                self._logged_at[key] = now
        for key in self._logged_at.keys() - keys.keys():
            log.info("fleet_obstacle_gone", cause=key.split(" ")[0])
            del self._logged_at[key]


class WorkerHeartbeat(bootsteps.StartStopStep):
    """Sends a worker's heartbeat from its loop, so that a loop that hangs sends none."""

    requires = (Tasks,)  # type: ignore[assignment]  # typed as an empty tuple

    def __init__(self, consumer: Any, **_: Any) -> None:
        self._pulse: Pulse | None = None
        self._timer: Any = None
        self._stopped = threading.Event()
        self._busy_with: frozenset[str] = frozenset()
        self._busy_since = 0.0
        self._next_at = 0.0

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:
        """Start, in a worker whose loop runs alongside tasks (prefork, threads)."""
        if not _is_solo(consumer):
            self._beat(consumer)
            self._timer = hub.call_repeatedly(LOOK_SECONDS, self._look, consumer)

    def start(self, consumer: Any) -> None:
        """Start, in a worker without a loop (gevent, eventlet), or whose loop runs tasks (solo).

        These fork no process, so a thread is safe.
        """
        if consumer.hub is None or _is_solo(consumer):
            self._stopped = threading.Event()
            args = (consumer, self._stopped)
            threading.Thread(
                target=self._beat_on, args=args, daemon=True, name="sisgate-heartbeat"
            ).start()

    def stop(self, consumer: Any) -> None:
        """Stop sending; after a lost connection it is started again."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if is_shutting_down() and self._pulse is not None:
            self._pulse.withdraw()

    def _beat_on(self, consumer: Any, stopped: threading.Event) -> None:
        while not stopped.is_set():
            self._look(consumer)
            stopped.wait(LOOK_SECONDS)

    def _look(self, consumer: Any) -> None:
        """Send a heartbeat when one is due, and at once when the configuration has changed."""
        is_due = runtime_of(consumer.app).clock.monotonic() >= self._next_at
        if is_due or self._pulse is None or self._pulse.version != consumer.following.fleet.version:
            self._beat(consumer)

    def _beat(self, consumer: Any) -> None:
        try:
            if self._pulse is None:
                pool = type(consumer.pool).__module__.rpartition(".")[2]
                pool = "threads" if pool == "thread" else pool  # as `-P` has it
                self._pulse = Pulse(
                    runtime_of(consumer.app), kind="worker", name=consumer.hostname, pool=pool
                )
            self._next_at = runtime_of(consumer.app).clock.monotonic() + EVERY_SECONDS
            self._pulse.send(consumer.following.fleet, **self._news(consumer))
            if self._pulse.clock_fault is not None and not is_shutting_down():
                # The clock was set while the worker ran. A restarted worker refuses to run.
                log.error("clock_refused", reason=self._pulse.clock_fault)
                state.should_stop = EX_FAILURE  # type: ignore[assignment]
        except Exception:
            log.exception("heartbeat_failed")

    def _news(self, consumer: Any) -> dict[str, Any]:
        slots = slots_of(consumer)
        requests = list(state.reserved_requests)
        tasks = frozenset(str(request.id) for request in requests)
        now = runtime_of(consumer.app).clock.monotonic()
        if tasks != self._busy_with:
            self._busy_with, self._busy_since = tasks, now
        full = now - self._busy_since if len(tasks) >= slots else 0.0
        served = () if is_shutting_down() else getattr(consumer.task_consumer, "queues", ())
        queues = sorted(queue.name for queue in served)
        return {
            "queues": tuple(queues),
            "serves": consumer.app.amqp.queues.serving,
            "slots": slots,
            "busy": len(tasks),
            "calls": tuple(sorted(filter(None, map(_call_of, requests)))),
            "full_seconds": full,
        }


def _call_of(request: Any) -> int | None:
    """Return the id of the call that a request is for; None for another task, or a bad message."""
    if not str(request.name).startswith(CALL_TASK_PREFIX):
        return None
    number = (request.kwargs or {}).get("call_id")
    return number if isinstance(number, int) else None


def watch_clock(app: Celery) -> None:
    """Prevent workers from starting on a host whose clock is too far off."""

    @worker_init.connect(weak=False)
    def begin(**_: Any) -> None:
        refuse_wrong_clock(runtime_of(app))


def watch_beat(app: Celery) -> None:
    """Make beat send heartbeats whenever it publishes one of its tasks.

    Whatever its scheduler, a beat that publishes nothing does not count as alive.
    """

    @beat_init.connect(weak=False)
    def begin(**_: Any) -> None:
        refuse_wrong_clock(runtime_of(app))
        runtime = runtime_of(app)
        pulse = Pulse(runtime, kind="beat", name="beat")
        atexit.register(pulse.withdraw)
        names = {entry["task"] for entry in app.conf.beat_schedule.values()}
        clock, current = runtime.clock, runtime.configuration.current
        next_at = published_at = clock.monotonic()

        @after_task_publish.connect(weak=False)
        def published(sender: str | None = None, **_: Any) -> None:
            nonlocal next_at, published_at
            if sender not in names:
                return
            published_at = now = clock.monotonic()
            if now >= next_at:
                next_at = now + EVERY_SECONDS
                pulse.send(current())
                refuse_wrong_clock(runtime)

        def follow() -> None:
            while True:
                clock.sleep(LOOK_SECONDS)
                is_working = clock.monotonic() - published_at < EVERY_SECONDS
                if is_working and (fleet := current()).version != pulse.version:
                    pulse.send(fleet)

        threading.Thread(target=follow, daemon=True, name="sisgate-follow").start()


def _is_solo(consumer: Any) -> bool:
    return type(consumer.pool).__module__.endswith(".solo")
