"""One SIS of one district: `[providers.NAME]`."""

from __future__ import annotations

import re
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sisgate.domain.network import Network
from sisgate.domain.rates import Rate
from sisgate.providers.dialect import Dialect, DialectOptions
from sisgate.providers.kinds import DIALECTS
from sisgate.settings.fields import Duration, Frozen
from sisgate.settings.objectives import ObjectivesConfig
from sisgate.settings.provider_parts import (
    BreakerConfig,
    Endpoint,
    HealthConfig,
    PathRule,
    RetryConfig,
    RotationConfig,
    SchoolHours,
)
from sisgate.settings.provider_urls import HttpUrl, Origin, proxy_url, taken_apart
from sisgate.settings.transforms import TransformConfig

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
"""Provider names are also queue, task and file names, hence the narrow alphabet."""

RESERVED_NAMES = frozenset({"sisgate"})
"""`sisgate` is the queue of the planner."""

LEASE_MARGIN_SECONDS = 70.0
"""Default lease of a call beyond its timeout."""

TOKEN_MARGIN_SECONDS = 40.0
"""The least margin if a token may have to be fetched, or waited for, before the call."""

CHECKS_SHARE = 0.25
"""The most of a limit that health checks may use, and that a rebuild assumes they used."""


def _windows(value: Any) -> Any:
    if isinstance(value, tuple):  # already parsed
        return value
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise ValueError('write a rate such as "1000/h", or a list of them')
    return tuple(Rate.parse(text) for text in texts)


def _spaced(value: Any) -> Any:
    """Return scopes written as a list in OAuth's form."""
    if isinstance(value, list) and all(isinstance(scope, str) for scope in value):
        return " ".join(value)
    return value


Windows = Annotated[tuple[Rate, ...], BeforeValidator(_windows)]


class ProviderConfig(Frozen):
    """One SIS of one district, `[providers.NAME]`."""

    name: str
    kind: str
    # Before the URLs, whose validation depends on it.
    allow_insecure: bool = False
    endpoints: Annotated[tuple[Endpoint, ...], Field(min_length=1)]
    pool: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")] | None = None
    strategy: Literal["weighted", "round_robin", "least_connections", "latency_aware"] = "weighted"
    paths: tuple[PathRule, ...] = ()
    transforms: tuple[TransformConfig, ...] = ()
    breaker: BreakerConfig = BreakerConfig()
    retry: RetryConfig = RetryConfig()
    limit: Windows | Literal["off"] | None = None
    burst: Annotated[int, Field(ge=1)] | None = None
    min_interval_seconds: Annotated[float, Field(ge=0, le=3600)] = 0.0
    max_concurrency: Annotated[int, Field(ge=1)] | None = None
    arrival_bound_seconds: Annotated[float, Field(gt=0, le=60)] | None = None
    school_hours: SchoolHours | None = None
    adaptive: Literal["on", "shadow", "off"] = "on"
    max_waiting_jobs: Annotated[int, Field(ge=1)] = 10_000
    slot_share: Annotated[float, Field(gt=0, le=1)] | None = None
    auth: Literal["oauth2-basic", "oauth2-body", "bearer", "oauth1", "none"] | None = None
    oauth1_signature: Literal["HMAC-SHA256", "HMAC-SHA1"] = "HMAC-SHA256"
    token_url: HttpUrl | None = None
    token_method: Literal["POST", "GET"] = "POST"
    scope: Annotated[str | None, BeforeValidator(_spaced)] = None
    version: Literal["1.1", "1.2"] | None = None
    base_path: str | None = None
    school_year: Annotated[int, Field(ge=2000, le=2100)] | None = None
    page_size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    link_origins: tuple[Origin, ...] = ()
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    lease_seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    proxy: Annotated[SecretStr | None, BeforeValidator(proxy_url)] = None
    no_proxy: tuple[str, ...] = ()
    max_body_mb: Annotated[int, Field(ge=1, le=1024)] = 32
    full_sync_every: Duration = timedelta(days=7)
    rotation: RotationConfig = RotationConfig()
    health: HealthConfig | None = None
    objectives: ObjectivesConfig | None = None

    @field_validator("kind")
    @classmethod
    def _kind_is_known(cls, value: str) -> str:
        if value not in DIALECTS:
            raise ValueError(f"kind is one of {', '.join(sorted(DIALECTS))}, not {value!r}")
        return value

    @field_validator("limit", mode="before")
    @classmethod
    def _limit_off(cls, value: Any) -> Any:
        return value if value == "off" or value is None else _windows(value)

    @model_validator(mode="before")
    @classmethod
    def _endpoints_without_base_path(cls, values: Any) -> Any:
        return taken_apart(values) if isinstance(values, dict) else values

    @field_validator("base_path")
    @classmethod
    def _base_path_is_absolute(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/"):
            raise ValueError('a base path begins with "/"')
        return value.rstrip("/") if value else value

    @field_validator("endpoints", "token_url")
    @classmethod
    def _https_unless_allowed(cls, value: Any, info: ValidationInfo) -> Any:
        urls = [value] if isinstance(value, str) else [e.url for e in value or ()]
        plain = [url for url in urls if url.startswith("http:")]
        if plain and not info.data.get("allow_insecure"):
            raise ValueError(
                f"{plain[0]} is not encrypted: keys and student data would be readable in transit. "
                "Use https, or set allow_insecure = true for a test server"
            )
        return value

    @property
    def dialect_class(self) -> type[Dialect]:
        """The dialect's class."""
        return DIALECTS[self.kind]

    @property
    def dialect(self) -> Dialect:
        """The dialect, set up with this provider's options."""
        return self.dialect_class(
            DialectOptions(
                version=self.version,
                page_size=self.page_size,
                base_path=self.base_path,
                school_year=self.school_year,
                link_origins=self.link_origins,
            )
        )

    @property
    def windows(self) -> tuple[Rate, ...]:
        """The effective limits; empty when the limit is off."""
        if self.limit == "off":
            return ()
        return self.limit or (Rate.parse(self.dialect_class.default_limit),)

    @property
    def lease(self) -> float:
        """Seconds after which another worker may take over an unfinished call."""
        return self.lease_seconds or self.timeout_seconds + LEASE_MARGIN_SECONDS

    @property
    def auth_method(self) -> str:
        """How requests are authorised; the kind's default unless configured."""
        return self.auth or self.dialect_class.default_auth

    @property
    def network(self) -> Network:
        """How to reach it."""
        proxy = self.proxy.get_secret_value() if self.proxy is not None else None
        return Network(
            self.ca_file, self.client_cert, self.client_key, proxy or None, self.no_proxy
        )

    @property
    def fetches_tokens(self) -> bool:
        """Whether requests are authorised by tokens of a token endpoint."""
        return self.auth_method.startswith("oauth2")

    @property
    def auth_scope(self) -> str | None:
        """The OAuth scope to request; the kind's default unless configured."""
        return self.scope if self.scope is not None else self.dialect.token_scope()

    @property
    def token_endpoint(self) -> str | None:
        """The URL of the token endpoint, or None if none is needed."""
        if not self.fetches_tokens:
            return None
        path = self.dialect.token_path()
        return self.token_url or (f"{self.endpoints[0].url}{path}" if path else None)

    @model_validator(mode="after")
    def _groups_have_endpoints(self) -> ProviderConfig:
        groups = {endpoint.group for endpoint in self.endpoints}
        for rule in self.paths:
            if rule.group not in groups:
                raise ValueError(f"no endpoint of {self.name} is in the group {rule.group!r}")
        return self

    @model_validator(mode="after")
    def _transforms_can_be_applied(self) -> ProviderConfig:
        names = [rule.name for rule in self.transforms]
        if len(set(names)) < len(names):
            raise ValueError("two transforms have the same name")
        for rule in self.transforms:
            if (resource := rule.response.canonical) is None:
                continue
            if resource not in self.dialect_class.resources:
                raise ValueError(f"transform {rule.name}: {self.kind} has no {resource}")
            lists = self.dialect.plan(resource, since=None)
            paths = [each.path for each in lists if not each.discovers]
            if not any(fnmatchcase(path, rule.path) for path in paths):
                known = ", ".join(paths) or "several lists, so no transform can read it"
                raise ValueError(f"transform {rule.name}: {resource} is read from {known}")
        return self

    @model_validator(mode="after")
    def _lease_outlasts_the_call(self) -> ProviderConfig:
        least = self.timeout_seconds + (TOKEN_MARGIN_SECONDS if self.fetches_tokens else 1.0)
        if self.lease < least:
            raise ValueError(
                f"lease_seconds is at least {least:g} here: a call may take that long, and must "
                "not be given to another worker before"
            )
        return self

    @model_validator(mode="after")
    def _work_in_flight_may_finish(self) -> ProviderConfig:
        if self.rotation.overlap.total_seconds() < self.timeout_seconds:
            raise ValueError("rotation.overlap is at least timeout_seconds")
        return self

    @model_validator(mode="after")
    def _checks_leave_the_limit_to_calls(self) -> ProviderConfig:
        if self.health is None or not self.health.counts:
            return self
        for window in self.windows:
            most = window.calls * CHECKS_SHARE
            least = len(self.endpoints) * window.period_seconds / most
            if self.health.interval_seconds < least:
                raise ValueError(
                    f"health.interval_seconds is at least {least:g} here: checks that count may "
                    f"use at most {CHECKS_SHARE:.0%} of a limit. Set health.counts = false if the "
                    "provider does not count them"
                )
        return self

    @model_validator(mode="after")
    def _key_has_its_certificate(self) -> ProviderConfig:
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("client_key is the key of client_cert, which is missing")
        return self

    @model_validator(mode="after")
    def _token_url_is_known(self) -> ProviderConfig:
        if self.fetches_tokens and self.token_endpoint is None:
            raise ValueError(f"kind {self.kind} has no default token endpoint: set token_url")
        return self
