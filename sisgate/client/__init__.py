"""The gateway over HTTP, for apps that have neither database nor Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sisgate.start_up import names_from

if TYPE_CHECKING:
    from sisgate.client.http_gateway import HttpGateway
else:
    __getattr__ = names_from(__name__, {"sisgate.client.http_gateway": "HttpGateway"})

__all__ = ["HttpGateway"]
