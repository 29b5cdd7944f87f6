"""`sisgate env`: what another app on this machine needs in its environment."""

from __future__ import annotations

import shlex

import typer

from sisgate.broker import broker_url, uses_embedded_redis
from sisgate.cli.invocation import invocation_of
from sisgate.cli.options import Json, examples
from sisgate.cli.output import Output, write_line
from sisgate.errors import BrokerUnavailable
from sisgate.settings import Settings

EPILOG = examples(
    "sisgate env",
    "sisgate env --json",
    note='In a shell: eval "$(sisgate env)". The URLs may hold passwords.',
)


def env(context: typer.Context, as_json: Json = False) -> None:
    """Print the environment for another app on this machine, the URL of Redis included."""
    settings, output = invocation_of(context).settings, Output(as_json)
    if uses_embedded_redis(settings) and not (settings.data_dir / "redis" / "redis.conf").exists():
        raise BrokerUnavailable(
            f"The Redis of the data folder {settings.data_dir} has never been started, so it has "
            "no URL yet. Start it with `sisgate up`."
        )
    found = variables(settings)
    output.json(found)
    if not as_json:
        for name, value in found.items():
            write_line(f"export {name}={shlex.quote(value)}")


def variables(settings: Settings) -> dict[str, str]:
    """Return the variables that lead another process to the same Redis, ledger and files.

    The URL of the embedded Redis is that of its last start; the ledger of the data folder needs no
    URL.
    """
    found = {
        "SISGATE_DATA_DIR": str(settings.data_dir),
        "SISGATE_CONFIG": str(settings.config_file) if settings.config_file else None,
        "SISGATE_BROKER_URL": broker_url(settings),
        "SISGATE_DATABASE_URL": (
            settings.database_url.get_secret_value() if settings.database_url else None
        ),
        "SISGATE_MASTER_KEY_FILE": (
            str(settings.master_key_file) if settings.master_key_file else None
        ),
        "SISGATE_AUDIT_KEY_FILE": (
            str(settings.audit_key_file) if settings.audit_key_file else None
        ),
    }
    return {name: value for name, value in found.items() if value is not None}
