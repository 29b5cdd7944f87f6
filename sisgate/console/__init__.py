"""The console: pages for operators, rendered on the server, at `/` of the web service.

A client of the gateway as the command line and `/v1` are: each page shows what one or two methods
return, and each action calls one.
"""

from sisgate.console.app import Console

__all__ = ["Console"]
