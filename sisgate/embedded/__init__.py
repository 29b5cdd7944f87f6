"""Servers that sisgate brings along, so that one machine needs nothing installed beside it."""

from sisgate.embedded.redis_server import EmbeddedRedis

__all__ = ["EmbeddedRedis"]
