"""The embedded Redis server, so that one machine needs nothing else installed."""

from sisgate.embedded.redis_server import EmbeddedRedis

__all__ = ["EmbeddedRedis"]
