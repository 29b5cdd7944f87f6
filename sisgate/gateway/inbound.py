"""Counting what callers ask of a server, for all servers of the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sisgate.gateway.gateway import Gateway

if TYPE_CHECKING:
    from sisgate.redis.inbound import SharedCounters


def shared_counters(gateway: Gateway) -> SharedCounters:
    """Return counters in the fleet's Redis. They raise `BrokerUnavailable`."""
    from sisgate.redis.inbound import SharedCounters

    return SharedCounters(gateway.context.redis)
