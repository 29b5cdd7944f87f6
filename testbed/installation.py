"""One installation: a folder with configuration and master key.

Nothing of `workers` is imported, which builds its app from the environment.
"""

from pathlib import Path

from pydantic import SecretStr

from sisgate.credentials.master import make_master_key
from sisgate.settings import Settings, load_settings


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
