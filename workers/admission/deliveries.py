"""What was delivered to this worker and has not ended: `unacked` in Redis, as kombu keeps it."""

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from kombu.transport.redis import QoS as RedisQoS
from kombu.transport.virtual import QoS as VirtualQoS
from kombu.utils.json import dumps

from sisgate.clock import ReferenceClock, SystemClock
from sisgate.redis.errors import RedisError


class SteadyQoS(RedisQoS):
    """kombu's record of deliveries, dated by the clock of Redis.

    kombu uses the worker's clock: a worker whose clock is ahead took messages from workers still
    processing them. What `admit.lua` delivers is dated by `TIME` too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._machine = SystemClock()
        self._clock = ReferenceClock(self._time_of_redis, self._machine)
        self._admitted: set[str] = set()
        """The tags of messages that admission delivered and whose tasks have not ended."""
        self._ended: deque[str] = deque()

    @property
    def visibility_timeout(self) -> float:
        """The age by this worker's clock at which a delivered message counts as lost."""
        ahead = (self._machine.now() - self._clock.now()).total_seconds()
        return float(self.channel.visibility_timeout) + ahead

    def append(self, message: Any, delivery_tag: str) -> None:
        """Record a message that was pushed to this worker."""
        route = message.delivery_info
        text = dumps([message._raw, route["exchange"], route["routing_key"]])
        with self.pipe_or_acquire() as pipe:
            pipe.zadd(self.unacked_index_key, {delivery_tag: self._clock.now().timestamp()})
            pipe.hset(self.unacked_key, delivery_tag, text).execute()
            VirtualQoS.append(self, message, delivery_tag)

    def append_admitted(self, message: Any, delivery_tag: str) -> None:
        """Record a message that `admit.lua` has put into `unacked`.

        When its task ends, that is told to Redis with the next admission, which the end sets off
        in any case: `take_ended`.
        """
        self._admitted.add(delivery_tag)
        VirtualQoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message. Called from the pool's threads, too."""
        if delivery_tag not in self._admitted:
            super().ack(delivery_tag)
            return
        self._admitted.discard(delivery_tag)
        self._ended.append(delivery_tag)
        VirtualQoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Reject a message, at once."""
        self._admitted.discard(delivery_tag)
        super().reject(delivery_tag, requeue=requeue)

    def take_ended(self) -> list[str]:
        """Return the tags to acknowledge in Redis; whoever fails to do so gives them back.

        If they are lost, the messages are delivered again and the ledger's claims refuse them.
        """
        tags = []
        with suppress(IndexError):
            while True:
                tags.append(self._ended.popleft())
        return tags

    def give_back_ended(self, tags: Iterable[str]) -> None:
        """Keep tags for the next time."""
        self._ended.extend(tags)

    def end_admission(self) -> None:
        """Acknowledge each message at once from here on: no admission follows."""
        self._admitted.clear()

    def _time_of_redis(self) -> datetime | None:
        try:
            with self.channel.conn_or_acquire() as client:
                seconds, micros = client.time()
        except (RedisError, OSError):
            return None
        return datetime.fromtimestamp(seconds + micros / 1e6, UTC)
