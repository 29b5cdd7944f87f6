"""The shape of the configuration. Secrets of providers never stand in it."""

from __future__ import annotations

import re
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sisgate.domain.rates import Rate
from sisgate.domain.retries import RetryPolicy
from sisgate.providers.dialect import Dialect, DialectOptions
from sisgate.providers.registry import DIALECTS
from sisgate.settings.frozen import Frozen
from sisgate.settings.health import HealthConfig
from sisgate.settings.rotation import RotationConfig
from sisgate.settings.schedules import ScheduleConfig
from sisgate.settings.urls import with_driver
from sisgate.settings.zones import Zone

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
"""Provider names are queue names, task names and file names too, hence the narrow alphabet."""

RESERVED_NAMES = frozenset({"sisgate"})
"""`sisgate` is the queue of the planner."""

LEASE_MARGIN_SECONDS = 70.0
"""How much longer than its answer may take a call is its worker's, unless configured."""

CHECKS_SHARE = 0.25
"""The most of a limit that health checks may use, and that a rebuild takes them to have used."""

TOKEN_MARGIN_SECONDS = 40.0
"""The least of it where a token may have to be fetched, or waited for, before the call."""


def _windows(value: Any) -> Any:
    if isinstance(value, tuple):  # read already
        return value
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise ValueError('write a rate such as "1000/h", or a list of them')
    return tuple(Rate.parse(text) for text in texts)


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("write an absolute URL that begins with https://")
    if parts.username or parts.password:
        raise ValueError("a URL must not carry a user name or password; use `sisgate keys add`")
    return value.rstrip("/")


def _scope(value: str) -> str:
    provider, slash, resource = value.partition("/")
    if not provider or (slash and not resource) or "/" in resource:
        raise ValueError("write PROVIDER, PROVIDER/RESOURCE, */RESOURCE or *")
    return value


Windows = Annotated[tuple[Rate, ...], BeforeValidator(_windows)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
ScheduleName = Annotated[str, Field(pattern=NAME)]


class Endpoint(Frozen):
    """One base URL of a provider. Traffic is shared in proportion to `weight`."""

    url: HttpUrl
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


def _kept(value: Any) -> Any:
    return None if value == "keep" else value


Kept = Annotated[Annotated[timedelta, Field(ge=timedelta(hours=1))] | None, BeforeValidator(_kept)]
"""How long something is kept, an hour at least; `"keep"` is for ever."""


class RetentionConfig(Frozen):
    """How long what is kept, as `[retention]` says. None is for ever."""

    jobs: Kept = timedelta(days=90)
    changes: Kept = timedelta(days=365)
    deleted_records: Kept = timedelta(days=365)
    usage: Kept = timedelta(days=730)
    originals: Kept = None


class AppConfig(Frozen):
    """A calling app, as `[apps.NAME]` describes it. Quota is shared in proportion to `weight`."""

    weight: Annotated[float, Field(gt=0, le=100)] = 1.0


class ProviderConfig(Frozen):
    """One SIS of one district, as `[providers.NAME]` describes it."""

    name: str
    kind: str
    # Before the URLs: whether they may be unencrypted is asked when they are read.
    allow_insecure: bool = False
    endpoints: Annotated[tuple[Endpoint, ...], Field(min_length=1)]
    strategy: Literal["weighted", "round_robin", "least_connections", "latency_aware"] = "weighted"
    paths: tuple[PathRule, ...] = ()
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
    auth: Literal["oauth2-basic", "oauth2-body", "oauth1", "none"] | None = None
    token_url: HttpUrl | None = None
    token_method: Literal["POST", "GET"] = "POST"
    scope: str | None = None
    version: Literal["1.1", "1.2"] | None = None
    base_path: str | None = None
    school_year: Annotated[int, Field(ge=2000, le=2100)] | None = None
    page_size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    lease_seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    max_body_mb: Annotated[int, Field(ge=1, le=1024)] = 32
    full_sync_every: timedelta = timedelta(days=7)
    rotation: RotationConfig = RotationConfig()
    health: HealthConfig | None = None

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
                f"{plain[0]} is not encrypted: keys and student data would be readable on the way. "
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
            )
        )

    @property
    def windows(self) -> tuple[Rate, ...]:
        """The limits that hold for this provider; empty when the limit is off."""
        if self.limit == "off":
            return ()
        return self.limit or (Rate.parse(self.dialect_class.default_limit),)

    @property
    def lease(self) -> float:
        """Seconds after which a call that was begun and not ended is another worker's to make."""
        return self.lease_seconds or self.timeout_seconds + LEASE_MARGIN_SECONDS

    @property
    def auth_method(self) -> str:
        """How requests are authorised; the kind's usual way unless configured."""
        return self.auth or self.dialect_class.default_auth

    @property
    def auth_scope(self) -> str | None:
        """The OAuth scope asked for; the kind's usual one unless configured."""
        return self.scope if self.scope is not None else self.dialect.token_scope()

    @property
    def token_endpoint(self) -> str | None:
        """The URL that gives tokens, or None where none is needed."""
        if self.auth_method in {"oauth1", "none"}:
            return None
        path = self.dialect.token_path()
        return self.token_url or (f"{self.endpoints[0].url}{path}" if path else None)

    @model_validator(mode="after")
    def _groups_have_endpoints(self) -> ProviderConfig:
        groups = {endpoint.group for endpoint in self.endpoints}
        for rule in self.paths:
            if rule.group not in groups:
                raise ValueError(f"no endpoint of {self.name} stands in the group {rule.group!r}")
        return self

    @model_validator(mode="after")
    def _lease_outlasts_the_call(self) -> ProviderConfig:
        fetches = self.auth_method.startswith("oauth2")
        least = self.timeout_seconds + (TOKEN_MARGIN_SECONDS if fetches else 1.0)
        if self.lease < least:
            raise ValueError(
                f"lease_seconds is at least {least:g} here: a call may take so long, and must not "
                "be given to another worker before"
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
                    f"health.interval_seconds is at least {least:g} here: checks that count take "
                    f"at most {CHECKS_SHARE:.0%} of a limit. Set health.counts = false where the "
                    "provider does not count them"
                )
        return self

    @model_validator(mode="after")
    def _token_url_is_known(self) -> ProviderConfig:
        if self.auth_method.startswith("oauth2") and self.token_endpoint is None:
            raise ValueError(f"kind {self.kind} has no usual token endpoint: set token_url")
        return self


class Settings(Frozen):
    """Everything that was read, once."""

    data_dir: Path
    config_file: Path | None = None
    broker_url: SecretStr | None = None
    database_url: SecretStr | None = None
    master_key_file: Path | None = None
    master_key: SecretStr | None = None
    master_key_command: tuple[str, ...] = ()
    audit_key_file: Path | None = None
    audit_heads_file: Path | None = None
    audit_heads_command: tuple[str, ...] = ()
    app_name: str = "default"
    flower_url: str | None = None
    providers: dict[str, ProviderConfig] = Field(default_factory=dict)
    apps: dict[str, AppConfig] = Field(default_factory=dict)
    schedules: dict[ScheduleName, ScheduleConfig] = Field(default_factory=dict)
    access: Literal["open", "tokens"] = "open"
    token: SecretStr | None = None
    broker_scopes: tuple[Annotated[str, AfterValidator(_scope)], ...] | None = None
    retention: RetentionConfig = RetentionConfig()
    response_retention: timedelta = timedelta(days=1)
    response_max_bytes: Annotated[int, Field(ge=1024)] = 1_048_576

    @property
    def is_embedded_database(self) -> bool:
        """Whether the ledger is the SQLite file under the data folder."""
        return self.database_url is None

    @property
    def sqlalchemy_url(self) -> str:
        """The ledger's URL, with psycopg 3 as the driver of a plain `postgresql://`."""
        if self.database_url is None:
            return f"sqlite:///{self.data_dir / 'sisgate.db'}"
        return with_driver(self.database_url.get_secret_value())

    @property
    def master_key_path(self) -> Path:
        """The file of master keys."""
        return self.master_key_file or self.data_dir / "master.key"

    @property
    def makes_master_key(self) -> bool:
        """Whether `sisgate up` makes the file, as nothing else gives a master key."""
        others = (self.master_key_file, self.master_key, self.master_key_command)
        return not any(others)

    @property
    def audit_heads_path(self) -> Path:
        """Where the heads of the audit log are added to."""
        return self.audit_heads_file or self.data_dir / "audit-heads.jsonl"
