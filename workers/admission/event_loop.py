"""Driving the fetcher: by the worker's event loop, or by a green thread if there is none."""

import contextlib
import socket
import threading
from typing import Any

from celery.signals import worker_shutting_down

from sisgate.errors import BrokerUnavailable
from sisgate.logs import get_logger
from sisgate.redis.errors import RedisError
from workers.admission.fetcher import IDLE_SECONDS, Fetcher
from workers.runtime import Runtime

log = get_logger()

RETRY_SECONDS = 1.0
"""How long the fetcher waits after Redis did not answer."""


class HubDriver:
    """Runs the fetcher on the worker's loop: by signal, by timer, and when a slot is freed."""

    def __init__(self, hub: Any, runtime: Runtime) -> None:
        self._hub = hub
        self._runtime = runtime
        self._timer: Any = None
        self._signals: Any = None
        self._signal_socket: Any = None
        self._signal_fd = -1
        self._is_due = False
        self._has_stopped = False
        # The loop polls before it runs what callbacks scheduled (kombu's `call_soon`), so it is
        # woken the way it always is: by a socket.
        self._bell, self._bell_rope = socket.socketpair()
        self._bell.setblocking(False)
        self._bell_rope.setblocking(False)

    def begin(self, fetcher: Fetcher) -> None:
        """Schedule the first fetch for the loop's next turn."""
        self._fetcher = fetcher
        self._hub.add_reader(self._bell, self._on_bell)
        # A signal to stop does not interrupt the loop's poll, which may last another second.
        worker_shutting_down.connect(self._on_shutdown)
        self._listen()
        self.wake()

    def wake(self) -> None:
        """Fetch at the loop's next turn. Callable from any thread; many calls are one fetch."""
        if not self._is_due:
            self._is_due = True
            with contextlib.suppress(OSError):  # stopped
                self._bell_rope.send(b"\0")

    def stop(self) -> None:
        """Stop fetching."""
        self._has_stopped = True
        worker_shutting_down.disconnect(self._on_shutdown)
        if self._timer is not None:
            self._timer.cancel()
        self._unlisten()
        self._hub.remove_reader(self._bell)
        self._bell.close()
        self._bell_rope.close()
        stopped(self._fetcher)

    def _on_shutdown(self, **_: Any) -> None:
        self.wake()

    def _on_bell(self) -> None:
        # Drained before the flag is cleared: a later wake sends again.
        with contextlib.suppress(OSError):
            self._bell.recv(64)
        self._fetch()

    def _fetch(self) -> None:
        self._is_due = False
        if self._has_stopped:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        seconds = guarded(self._fetcher)
        if seconds <= 0:
            self.wake()
        else:
            self._timer = self._hub.call_later(seconds, self._fetch_by_timer)

    def _fetch_by_timer(self) -> None:
        self._timer = None
        if self._signal_socket is None and not self._has_stopped:
            self._listen()
        self._fetch()

    def _listen(self) -> None:
        try:
            self._signals = self._runtime.wakeups.signals()
            self._signal_socket = self._signals.connection._sock  # redis-py shows no fd
            # By number: the loop could not unregister a socket that redis-py has closed, and the
            # next one to reuse its number would wake us.
            self._signal_fd = self._signal_socket.fileno()
            self._hub.add_reader(self._signal_fd, self._on_signal)
        except (BrokerUnavailable, OSError):
            self._unlisten()

    def _unlisten(self) -> None:
        if self._signal_socket is not None:
            self._hub.remove_reader(self._signal_fd)
            self._signal_socket = None
        if self._signals is not None:
            self._signals.close()
            self._signals = None

    def _on_signal(self) -> None:
        is_ours = False
        try:
            while (message := self._signals.get_message(timeout=0)) is not None:
                is_ours = self._fetcher.note_signal(message["data"].decode()) or is_ours
            if self._signals.connection._sock is not self._signal_socket:
                # redis-py has reconnected by itself; signals may have been lost in between.
                raise BrokerUnavailable("The connection for signals was lost.")
        except (BrokerUnavailable, OSError):
            self._unlisten()
            self._fetcher.sweep_all_queues()
            is_ours = True
        if is_ours:
            self.wake()


class GreenDriver:
    """Runs the fetcher in a thread, a green one under gevent and eventlet."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._due = threading.Event()
        self._has_stopped = False

    def begin(self, fetcher: Fetcher) -> None:
        """Start fetching."""
        self._fetcher = fetcher
        for target in (self._fetch, self._listen):
            threading.Thread(target=target, daemon=True, name="sisgate-admission").start()

    def wake(self) -> None:
        """Fetch immediately."""
        self._due.set()

    def stop(self) -> None:
        """Stop fetching."""
        self._has_stopped = True
        self._due.set()
        stopped(self._fetcher)

    def _fetch(self) -> None:
        while not self._has_stopped:
            self._due.clear()
            seconds = guarded(self._fetcher)
            # Yields to other greenlets even with no wait: a fetch itself may not switch.
            self._due.wait(max(seconds, 0.0005))

    def _listen(self) -> None:
        signals = None
        while not self._has_stopped:
            try:
                signals = signals or self._runtime.wakeups.signals()
                message = signals.get_message(timeout=IDLE_SECONDS)
                if message is not None and self._fetcher.note_signal(message["data"].decode()):
                    self._due.set()
            except (BrokerUnavailable, OSError):
                signals = None
                self._runtime.clock.sleep(RETRY_SECONDS)
        if signals is not None:
            signals.close()


def guarded(fetcher: Fetcher) -> float:
    """Fetch, and survive what goes wrong; return the seconds until the next fetch."""
    try:
        return fetcher.fetch()
    except BrokerUnavailable as error:
        log.warning("admission_waits", reason=error.message)
    except (RedisError, OSError) as error:  # kombu's, while messages are handed to Celery
        log.warning("admission_waits", reason=type(error).__name__)
    except Exception:
        log.exception("admission_failed")
    return RETRY_SECONDS


def stopped(fetcher: Fetcher) -> None:
    """Stop a fetcher, also while there is no Redis."""
    with contextlib.suppress(BrokerUnavailable, RedisError, OSError):
        fetcher.stop()
