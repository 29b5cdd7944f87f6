"""Parts of a provider's configuration: endpoints, breaker, retries, health, rotation."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from sisgate.domain.retries import RetryPolicy
from sisgate.domain.validation import usable_path
from sisgate.errors import UsageError
from sisgate.settings.fields import Duration, Frozen, Zone
from sisgate.settings.provider_urls import BaseUrl


class Endpoint(Frozen):
    """One base URL of a provider. Traffic is shared in proportion to `weight`."""

    url: BaseUrl
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    group: str | None = None


class PathRule(Frozen):
    """Paths that match `pattern`, in which `*` matches anything, go to a group of endpoints."""

    pattern: str
    group: str


class BreakerConfig(Frozen):
    """When the circuit breaker of an endpoint opens and closes; see `BreakerSpec`."""

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
    """How a provider's calls are retried; see `RetryPolicy`."""

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
        """The policy with these settings."""
        return RetryPolicy(**self.model_dump())


class SchoolHours(Frozen):
    """Local times with fewer concurrent calls; `days` count from 0, Monday."""

    zone: Zone
    start: time
    end: time
    max_concurrency: Annotated[int, Field(ge=1)] = 1
    days: frozenset[Annotated[int, Field(ge=0, le=6)]] = frozenset(range(5))


class HealthConfig(Frozen):
    """A GET of `path` at each endpoint, without credentials, that should respond with `expected`.

    `counts`: the provider counts it against its quota, so each check takes a permit.
    """

    path: str
    interval_seconds: Annotated[float, Field(ge=1, le=3600)] = 60.0
    expected: Annotated[tuple[Annotated[int, Field(ge=100, le=599)], ...], Field(min_length=1)] = (
        200,
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 5.0
    counts: bool = True

    @field_validator("path")
    @classmethod
    def _path_is_usable(cls, value: str) -> str:
        try:
            return usable_path(value)
        except UsageError as error:
            raise ValueError(error.message) from None

    @property
    def holds_seconds(self) -> float:
        """How long a check's result is valid without another check, in case checks stop."""
        return 3 * self.interval_seconds + self.timeout_seconds + 60


class RotationConfig(Frozen):
    """How the keys of a provider are replaced; see `sisgate.credentials.rotation`.

    `source` is `hand` (a person stages the new key) or the name of an entry point of the group
    `sisgate.key_sources`, which receives `options`.
    """

    interval: Annotated[Duration, Field(gt=timedelta(0))] | None = None
    overlap: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(days=1)
    warn_before: Annotated[Duration, Field(ge=timedelta(0))] = timedelta(days=14)
    check_every: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(minutes=1)
    retry_after: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(hours=1)
    source: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")] = "hand"
    source_seconds: Annotated[float, Field(gt=0, le=120)] = 30.0
    options: dict[str, Any] = Field(default_factory=dict)
    canary_path: str | None = None

    @property
    def has_source(self) -> bool:
        """Whether a plug-in supplies new keys."""
        return self.source != "hand"

    @field_validator("canary_path")
    @classmethod
    def _canary_path_is_usable(cls, value: str | None) -> str | None:
        try:
            return usable_path(value) if value is not None else None
        except UsageError as error:
            raise ValueError(error.message) from None

    @model_validator(mode="after")
    def _overlap_ends_in_time(self) -> RotationConfig:
        if self.interval is not None and self.overlap >= self.interval:
            raise ValueError("overlap is shorter than interval")
        return self
