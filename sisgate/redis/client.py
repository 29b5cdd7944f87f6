"""Clients for the fleet's state in Redis: bounded waits, and errors of our own tree.

Celery's transport is connected by kombu, not here. Create a client after a fork.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
from redis.client import Pipeline, PubSub
from redis.connection import parse_url as parse_url  # noqa: PLC0414  # what settings check

from sisgate.redis.errors import translated


class RedisClient(redis.Redis):
    """redis-py's client, whose commands raise `BrokerUnavailable` instead of redis-py's errors.

    It decodes nothing: replies are bytes. Safe to share between threads.
    """

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command and return its reply."""
        with translated():
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> RedisPipeline:
        """Return a pipeline of commands that are sent together."""
        callbacks = self.response_callbacks
        return RedisPipeline(self.connection_pool, callbacks, transaction, shard_hint)

    def pubsub(self, **options: Any) -> RedisSubscription:
        """Return a subscription to channels."""
        return RedisSubscription(self.connection_pool, **options)


class RedisPipeline(Pipeline):
    """redis-py's pipeline, which raises `BrokerUnavailable` as well."""

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send the commands and return their replies."""
        with translated():
            return super().execute(raise_on_error)


class RedisSubscription(PubSub):
    """redis-py's subscription, which raises `BrokerUnavailable` as well."""

    def execute_command(self, *args: Any) -> Any:
        """Subscribe or unsubscribe."""
        with translated():
            return super().execute_command(*args)  # type: ignore[no-untyped-call]

    def get_message(self, ignore_subscribe_messages: bool = False, timeout: float = 0.0) -> Any:
        """Return the next message, None if there is none within `timeout` seconds."""
        with translated():
            return super().get_message(ignore_subscribe_messages, timeout)


class FollowingConnection(redis.Connection):
    """Connects to the URL of the moment, over TCP without TLS."""

    def __init__(self, *, url_of: Callable[[], str], **options: Any) -> None:
        self._url_of = url_of
        super().__init__(**{**parse_url(url_of()), **options})  # type: ignore[no-untyped-call]

    def _connect(self) -> Any:
        address = parse_url(self._url_of())
        self.host, self.port = address["host"], address["port"]
        self.password = address.get("password")
        return super()._connect()  # type: ignore[no-untyped-call]


def connect(url: str | Callable[[], str], **options: Any) -> RedisClient:
    """Return a client of the Redis at a URL; it connects with its first command.

    A function is called for the URL at each new connection, for an embedded server, which may start
    after its clients and on another port. `options` are redis-py's and override the fleet's
    timeouts.
    """
    bounds: dict[str, Any] = {
        "socket_timeout": 5,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 30,
    }
    bounds |= options
    if isinstance(url, str):
        return RedisClient.from_url(url, **bounds)  # type: ignore[return-value]  # typed as its base
    pool = redis.ConnectionPool(connection_class=FollowingConnection, url_of=url, **bounds)
    return RedisClient.from_pool(pool)  # type: ignore[return-value]
