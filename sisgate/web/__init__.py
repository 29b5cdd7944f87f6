"""The HTTP service: `create_app` returns it as an ASGI application, `sisgate serve` runs it."""

from sisgate.web.app import create_app

__all__ = ["create_app"]
