"""One installation: a folder with configuration and master key, and a worker's runtime over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from sisgate.clock import Clock
from sisgate.credentials.master import make_master_key
from sisgate.ledger import migrate
from sisgate.settings import Settings, load_settings
from workers.runtime import Runtime


def install(
    folder: Path, configuration: str, *, redis_url: str, database_url: str | None = None
) -> Settings:
    """Write a configuration file and a master key into a folder; return the settings.

    Without `database_url` the ledger is the folder's own SQLite file. It is not migrated here.
    """
    path = folder / "sisgate.toml"
    path.write_text(configuration, encoding="utf-8")
    urls = {"broker_url": SecretStr(redis_url)}
    if database_url is not None:
        urls["database_url"] = SecretStr(database_url)
    settings = load_settings(path, data_dir=folder).model_copy(update=urls)
    make_master_key(settings.master_key_path)
    return settings


def variables_of(settings: Settings) -> dict[str, str]:
    """Return the environment variables by which other processes find an installation."""
    given = {
        "SISGATE_BROKER_URL": settings.broker_url,
        "SISGATE_DATABASE_URL": settings.database_url,
    }
    return {
        "SISGATE_DATA_DIR": str(settings.data_dir),
        "SISGATE_CONFIG": str(settings.config_file),
        **{name: url.get_secret_value() for name, url in given.items() if url is not None},
    }


@contextmanager
def runtime_of(
    settings: Settings, clock: Clock | None = None, *, script_clock: Clock | None = None
) -> Iterator[Runtime]:
    """Give a worker's runtime over an installation: its ledger migrated, its limiters ready."""
    runtime = Runtime(settings, clock, script_clock=script_clock)
    try:
        migrate.upgrade(runtime.database)
        for name, config in settings.providers.items():
            runtime.limiter.rebuild(name, runtime.limits(config), [])
        yield runtime
    finally:
        runtime.gateway.close()
        runtime.database.dispose()
        runtime.redis.close()
        runtime.transport.close()
