"""What a process reads from its configuration file and environment. Never secrets of providers."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, SecretStr

from sisgate.settings.fleet import FleetSettings
from sisgate.settings.urls import with_driver
from sisgate.settings.web import WebConfig


def _scope(value: str) -> str:
    provider, slash, resource = value.partition("/")
    if not provider or (slash and not resource) or "/" in resource:
        raise ValueError("write PROVIDER, PROVIDER/RESOURCE, */RESOURCE or *")
    return value


def _web_address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("write a URL that begins with http:// or https://")
    return value.rstrip("/")


class Settings(FleetSettings):
    """What a process reads from file and environment.

    The fleet-wide part is in force only where the ledger has no version of the configuration; read
    `sisgate.configuration.LiveConfiguration` instead.
    """

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
    flower_url: Annotated[str, AfterValidator(_web_address)] | None = None
    flower_password_file: Path | None = None
    console_url: Annotated[str, AfterValidator(_web_address)] | None = None
    traces: Literal["off", "otlp"] = "off"
    log_format: Literal["auto", "json", "pretty"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    access: Literal["open", "tokens"] = "open"
    token: SecretStr | None = None
    broker_scopes: tuple[Annotated[str, AfterValidator(_scope)], ...] | None = None
    web: WebConfig = WebConfig()

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
        """Whether `sisgate up` creates the file, because no other master key is configured."""
        others = (self.master_key_file, self.master_key, self.master_key_command)
        return not any(others)

    @property
    def audit_heads_path(self) -> Path:
        """The file to which heads of the audit log are appended."""
        return self.audit_heads_file or self.data_dir / "audit-heads.jsonl"
