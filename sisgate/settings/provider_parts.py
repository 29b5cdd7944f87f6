"""Parts of a provider's configuration: endpoints, paths, breaker, retries, school hours."""

from __future__ import annotations

from datetime import time
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from sisgate.domain.retries import RetryPolicy
from sisgate.settings.frozen import Frozen
from sisgate.settings.zones import Zone

NO_PASSWORD = "a URL must not carry a user name or password; use `sisgate keys add`"


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("write an absolute URL that begins with https://")
    if parts.username or parts.password:
        raise ValueError(NO_PASSWORD)
    try:
        _ = parts.port
    except ValueError:
        # Python's error quotes it, and it may be a password.
        raise ValueError("the port is not a number from 0 to 65535") from None
    return value.rstrip("/")


HttpUrl = Annotated[str, AfterValidator(_http_url)]


def _base_url(value: str) -> str:
    if "@" in value:
        raise ValueError(NO_PASSWORD)
    if "?" in value or "#" in value:
        raise ValueError("write the URL without ? and #: paths are put behind it")
    return _http_url(value)


BaseUrl = Annotated[str, AfterValidator(_base_url)]


def _origin(value: str) -> str:
    parts = urlsplit(_http_url(value))
    if parts.path or parts.query or parts.fragment:
        raise ValueError("write an origin: scheme, host and port, such as https://sis.example:8443")
    return f"{parts.scheme}://{parts.netloc}".lower()


Origin = Annotated[str, AfterValidator(_origin)]


class Endpoint(Frozen):
    """One base URL of a provider. Traffic is shared in proportion to `weight`."""

    url: BaseUrl
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    group: str | None = None


class PathRule(Frozen):
    """Paths that match `pattern`, in which `*` stands for anything, go to a group of endpoints."""

    pattern: str
    group: str


class BreakerConfig(Frozen):
    """When the circuit breaker of an endpoint opens and closes; `BreakerSpec` tells how."""

    fail_max: Annotated[int, Field(ge=1)] = 5
    failure_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    slow_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    slow_seconds: Annotated[float, Field(gt=0)] = 60.0
    window_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    minimum_calls: Annotated[int, Field(ge=1)] = 10
    open_seconds: Annotated[float, Field(gt=0)] = 30.0
    open_cap_seconds: Annotated[float, Field(gt=0)] = 600.0
    healthy_seconds: Annotated[float, Field(ge=0)] = 600.0
    success_threshold: Annotated[int, Field(ge=1)] = 2

    @model_validator(mode="after")
    def _cap_is_a_cap(self) -> BreakerConfig:
        if self.open_cap_seconds < self.open_seconds:
            raise ValueError("open_cap_seconds is at least open_seconds")
        return self


class RetryConfig(Frozen):
    """How a provider's calls are tried again; `RetryPolicy` tells how."""

    tries: Annotated[int, Field(ge=1, le=100)] = 5
    base_seconds: Annotated[float, Field(gt=0, le=3600)] = 2.0
    cap_seconds: Annotated[float, Field(gt=0, le=86400)] = 120.0
    budget: Annotated[float, Field(ge=0, le=1)] = 0.2
    min_concurrency: Annotated[int, Field(ge=1)] = 3

    @model_validator(mode="after")
    def _cap_is_a_cap(self) -> RetryConfig:
        if self.cap_seconds < self.base_seconds:
            raise ValueError("cap_seconds is at least base_seconds")
        return self

    @property
    def policy(self) -> RetryPolicy:
        """The same as a value that decides."""
        return RetryPolicy(**self.model_dump())


class SchoolHours(Frozen):
    """Local times in which a provider takes fewer calls at once, `days` from 0, Monday."""

    zone: Zone
    start: time
    end: time
    max_concurrency: Annotated[int, Field(ge=1)] = 1
    days: frozenset[Annotated[int, Field(ge=0, le=6)]] = frozenset(range(5))
