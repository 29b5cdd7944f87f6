"""The shape of the configuration. Secrets of providers never stand in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
)

from sisgate.settings.frozen import Frozen
from sisgate.settings.provider import NAME, ProviderConfig
from sisgate.settings.schedules import ScheduleConfig
from sisgate.settings.urls import with_driver


def _scope(value: str) -> str:
    provider, slash, resource = value.partition("/")
    if not provider or (slash and not resource) or "/" in resource:
        raise ValueError("write PROVIDER, PROVIDER/RESOURCE, */RESOURCE or *")
    return value


ScheduleName = Annotated[str, Field(pattern=NAME)]


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


class Settings(Frozen):
    """Everything that was read, once."""

    data_dir: Path
    config_file: Path | None = None
    broker_url: SecretStr | None = None
    broker_ca_file: Path | None = None
    broker_client_cert: Path | None = None
    broker_client_key: Path | None = None
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
    broker_may_raise_limits: bool = False
    max_clock_difference: Annotated[timedelta, Field(ge=timedelta(seconds=5))] = timedelta(days=1)
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
