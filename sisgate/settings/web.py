"""The configuration of the HTTP service, `[web]`."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

from sisgate.domain.rates import Rate
from sisgate.settings.fields import Frozen


def _rate(text: str) -> str:
    Rate.parse(text)
    return text


def _network(text: str) -> str:
    ip_network(text)
    return text


InboundRate = Annotated[str, AfterValidator(_rate)]
"""Requests in a time, such as `"600/m"`."""

Network = Annotated[str, AfterValidator(_network)]
"""An address, or a network such as `"10.0.0.0/8"`."""


class WebConfig(Frozen):
    """Bounds of the HTTP service; see `docs/reference/http-api.md`."""

    limit: InboundRate = "1200/m"
    limits: dict[str, InboundRate] = Field(default_factory=dict)
    failed_logins: InboundRate = "30/m"
    max_body_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 8 * 2**20
    body_seconds: Annotated[float, Field(gt=0, le=600)] = 15.0
    longest_wait_seconds: Annotated[int, Field(ge=1, le=600)] = 60
    max_waiting: Annotated[int, Field(ge=1, le=100_000)] = 5000
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()

    @property
    def failed_logins_rate(self) -> Rate:
        """How many requests an address may make with one token that is not valid."""
        return Rate.parse(self.failed_logins)

    def limit_of(self, name: str) -> Rate:
        """Return how often the owner of a token may ask."""
        return Rate.parse(self.limits.get(name, self.limit))
