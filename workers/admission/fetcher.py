"""The fetcher: fills free slots with messages for which there are permits.

For each queue it knows when to try next: immediately after a signal or while messages come, else
when a permit may become free. So a fetch costs as much as there are queues with work, not as many
as the worker serves; those are swept occasionally.
"""

from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

from celery.worker import state

from sisgate.admission.admitter import Admitted, Admitter, Taken
from sisgate.admission.slot_sharing import DEFAULT_SHARE, CallPace, share_out
from sisgate.broker import CALL_TASK_PREFIX
from sisgate.configuration import FleetConfiguration
from sisgate.redis.queues import UNACKED, UNACKED_INDEX
from workers.admission import limiter_recovery
from workers.admission.deliveries import SteadyQoS
from workers.admission.messages import NotOurs, put_aside, read_message
from workers.runtime import Runtime

IDLE_SECONDS = 1.0
"""The longest time between two fetches, and between two sweeps."""

MOST_SWEPT = 50
"""Queues that one sweep covers; with more they take turns, so that its cost does not grow."""

SOON_SECONDS = 0.05
"""How long the fetcher waits for a consumer that is being set up."""

RESTORE_SECONDS = 10.0
"""How often a worker without pushed queues restores what dead workers held."""

LONGEST_WAIT_SECONDS = 5.0
"""The longest wait for a permit before trying again, in case the signal of a change is lost.

With more waiting queues than `MOST_ASKED`, the time grows with their number, so the cost does not.
"""

MOST_ASKED = 20

AT_ONCE = 0.0


class Fetcher:
    """Takes messages for the worker's free slots and hands them to Celery."""

    def __init__(self, consumer: Any, runtime: Runtime) -> None:
        self._consumer = consumer
        self._runtime = runtime
        self._admitter = Admitter(runtime.redis, runtime.limiter)
        self._ask_at: dict[str, float] = {}
        self._without_permit: dict[str, float] = {}
        self._sweep_at = AT_ONCE
        self._sweep_all = True
        self._unswept: list[str] = []
        self._restore_at = AT_ONCE
        self._turn = 0
        self._pace = CallPace()

    def note_signal(self, provider: str) -> bool:
        """Record that a provider may have new work; return whether this worker serves it."""
        is_ours = provider in admitted_queues(self._consumer)
        if is_ours:
            self._ask_at[provider] = AT_ONCE
        return is_ours

    def note_end(self, seconds: float) -> None:
        """Record how long a call took. Callable from any thread."""
        self._pace.note(seconds)

    def sweep_all_queues(self) -> None:
        """Sweep all queues at the next fetch: signals may have been lost."""
        self._sweep_at, self._sweep_all = AT_ONCE, True

    def fetch(self) -> float:
        """Take messages while there are slots and permits; return the seconds to the next fetch."""
        try:
            return self._fetch()
        finally:
            self._acknowledge()

    def stop(self) -> None:
        """Take no more messages; those in progress are acknowledged without this fetcher."""
        if self._deliveries is not None:
            self._deliveries.end_admission()
            self._acknowledge()

    def _fetch(self) -> float:
        if is_shutting_down():
            return IDLE_SECONDS
        if not self._can_deliver():
            return SOON_SECONDS
        now = self._runtime.clock.monotonic()
        self._restore_lost(now)
        slots = slots_of(self._consumer)
        busy = self._taken_slots(slots, now)
        if busy >= slots:
            return IDLE_SECONDS
        providers = admitted_queues(self._consumer)
        if now >= self._sweep_at:
            self._sweep(providers, now)
        ready = [name for name, at in self._ask_at.items() if at <= now and name in providers]
        if ready:
            self._turn += 1
            turn = self._turn % len(ready)
            ready = ready[turn:] + ready[:turn]
            if self._take(ready, len(providers), slots, busy, now):
                return AT_ONCE
        # Messages not taken lack a slot: the end of a task triggers the next fetch.
        return self._next_fetch(providers, now)

    def _taken_slots(self, slots: int, now: float) -> int:
        """Return how many slots are not free for calls.

        A worker that serves the planner's queue besides providers keeps a slot for it: if calls
        filled the worker, nothing would plan, rotate or seal, and the calls may depend on just
        that. Only while calls are quick does it lend the slot: a task of the planner's then gets
        the first that is free.
        """
        requests = list(state.reserved_requests)
        busy = len(requests)
        is_planner = len(self._consumer.task_consumer.queues) > len(admitted_queues(self._consumer))
        if not is_planner or slots <= 1:
            return busy
        if any(not (request.name or "").startswith(CALL_TASK_PREFIX) for request in requests):
            return busy
        running = (now - request.begun_at for request in requests if request.begun_at is not None)
        return busy if self._pace.is_quick(running) else busy + 1

    @property
    def _deliveries(self) -> SteadyQoS | None:
        consumer = self._consumer.task_consumer
        return None if consumer is None or consumer.channel is None else consumer.channel.qos

    def _acknowledge(self) -> None:
        """Acknowledge what no admission took along."""
        with self._ended() as ended:
            if ended:
                self._admitter.acknowledge(ended)

    @contextmanager
    def _ended(self) -> Iterator[list[str]]:
        """Give the tags of messages whose tasks have ended; an error keeps them for later."""
        deliveries = self._deliveries
        tags = [] if deliveries is None else deliveries.take_ended()
        try:
            yield tags
        except BaseException:
            if deliveries is not None:
                deliveries.give_back_ended(tags)
            raise

    def _can_deliver(self) -> bool:
        # A green driver starts before the consumer's loop knows who handles messages.
        consumer = self._consumer.task_consumer
        return consumer is not None and consumer.on_message is not None

    def _sweep(self, providers: AbstractSet[str], now: float) -> None:
        """Find messages whose signal was lost, in the queues that are not due anyway."""
        self._sweep_at = now + IDLE_SECONDS
        most = len(providers) if self._sweep_all else MOST_SWEPT
        if self._sweep_all or not self._unswept:
            self._unswept = [name for name in providers if name not in self._ask_at]
        swept, self._unswept = self._unswept[:most], self._unswept[most:]
        waiting = self._admitter.waiting(swept)
        self._sweep_all = False
        for name in waiting:
            self._ask_at.setdefault(name, AT_ONCE)

    def _take(self, ready: list[str], served: int, slots: int, busy: int, now: float) -> bool:
        """Take messages of the ready providers, in turn; return whether there were any.

        There may be fewer slots than providers, and the first ones may have nothing for the last
        slot (kept for urgent and high work), so the others are tried as well.
        """
        fleet: FleetConfiguration = self._consumer.following.follow()
        configs = fleet.providers
        ready = [name for name in ready if name in configs]
        share = 1.0 if served == 1 else DEFAULT_SHARE
        shares = {name: configs[name].slot_share or share for name in ready}
        took = 0
        while ready and not took:
            names = (request.name or "" for request in list(state.reserved_requests))
            running = Counter(name.removeprefix(CALL_TASK_PREFIX) for name in names)
            wants = share_out(slots, busy, running, ready, shares)
            specs = {want.provider: self._runtime.limits(configs[want.provider]) for want in wants}
            # Before the call: its answer may be read long after the permits were granted.
            asked_at = self._runtime.clock.monotonic()
            with self._ended() as ended:
                answers = self._admitter.admit(wants, specs, fleet.version, ended)
            for admitted in answers:
                since = self._without_permit.get(admitted.provider, asked_at)
                for taken in admitted.messages:
                    self._deliver(admitted, taken, asked_at, fleet.version, asked_at - since)
                    since = asked_at
                took += len(admitted.messages)
                self._note(admitted, now)
            if any(admitted.reason == "stale" for admitted in answers):
                # Asked again at once with the newer limits; else when the ledger is back.
                newest = self._runtime.configuration.refresh()
                return took > 0 or newest.version > fleet.version
            ready = ready[len(wants) :]
        return took > 0

    def _note(self, admitted: Admitted, now: float) -> None:
        """Record when to try a provider again."""
        name = admitted.provider
        lacks_permit = admitted.left and admitted.wait_seconds > 0
        if admitted.messages or not lacks_permit or admitted.reason == "circuit_open":
            self._without_permit.pop(name, None)
        if lacks_permit and admitted.reason != "circuit_open":
            self._without_permit.setdefault(name, now)
        if admitted.reason == "unknown":
            limiter_recovery.note_unknown(self._runtime, name)
            self._ask_at[name] = now + IDLE_SECONDS
        elif not admitted.left:
            self._ask_at.pop(name, None)
        elif admitted.wait_seconds > 0:
            longest = LONGEST_WAIT_SECONDS * max(1.0, len(self._ask_at) / MOST_ASKED)
            self._ask_at[name] = now + min(admitted.wait_seconds, longest)
        else:
            self._ask_at[name] = AT_ONCE

    def _next_fetch(self, providers: AbstractSet[str], now: float) -> float:
        # Due messages that were not taken wait for a slot; the end of a task wakes the fetcher.
        times = [at for name, at in self._ask_at.items() if at > now and name in providers]
        return max(0.001, min([*times, self._sweep_at]) - now)

    def _deliver(
        self, admitted: Admitted, taken: Taken, asked_at: float, version: int, waited: float
    ) -> None:
        consumer = self._consumer.task_consumer
        channel = consumer.channel
        try:
            payload = read_message(taken.text)
            payload["headers"]["sisgate_permit"] = {
                "id": taken.permit,
                "factor": admitted.factor,
                "granted_at": asked_at,
                "version": version,
                "waited_seconds": waited,
            }
            message = channel.Message(payload, channel=channel)
            message.accept = consumer.accept
            if message.delivery_tag != taken.tag:
                raise NotOurs("its tag cannot be read")
        except Exception as error:  # noqa: BLE001  # whatever is in the queue, the worker must live
            self._quarantine(admitted.provider, taken, error)
            return
        channel.qos.append_admitted(message, taken.tag)
        consumer.on_message(message)

    def _quarantine(self, provider: str, taken: Taken, error: Exception) -> None:
        client = self._runtime.redis
        put_aside(client, taken.text, error, provider)
        if taken.tag:
            client.zrem(UNACKED_INDEX, taken.tag)
            client.hdel(UNACKED, taken.tag)
        self._runtime.limiter.hand_back(provider, taken.permit)

    def _restore_lost(self, now: float) -> None:
        """Restore what dead workers held; kombu does it only for channels with pushed queues."""
        if now < self._restore_at:
            return
        self._restore_at = now + RESTORE_SECONDS
        channel = self._consumer.task_consumer.channel
        if not channel.active_queues:
            channel.qos.restore_visible(
                num=channel.unacked_restore_limit, interval=channel.unacked_restore_throttle
            )


def admitted_queues(consumer: Any) -> AbstractSet[str]:
    """Return the names of the queues that this worker consumes by permit."""
    return frozenset() if consumer.task_consumer is None else consumer.task_consumer.admitted


def slots_of(consumer: Any) -> int:
    """Return how many tasks the worker runs at a time, or may grow to."""
    # An autoscaled pool grows when it gets more tasks than it has processes.
    scaler = getattr(consumer.controller, "autoscaler", None)
    size: int = consumer.pool.num_processes
    return max(size, scaler.max_concurrency) if scaler else size


def is_shutting_down() -> bool:
    """Return whether the worker was asked to stop and takes no more messages."""
    # Worker state is a module's globals, set by the signal handlers.
    signals = (getattr(state, name) for name in ("should_stop", "should_terminate"))
    # An orderly stop is stored as its exit code, 0, which equals False.
    return any(signal is not None and signal is not False for signal in signals)
