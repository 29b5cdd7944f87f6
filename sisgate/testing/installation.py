"""The installation of a double: a folder with a ledger, and what its worker works with."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sisgate.configuration.document import draft_of, read_file
from sisgate.credentials.master import make_master_key
from sisgate.ledger import migrate
from sisgate.ledger.database import Database
from sisgate.settings import ProviderConfig, Settings
from sisgate.settings.fleet import FleetSettings
from sisgate.settings.problems import ConfigSource
from sisgate.testing.clock import SteppedClock
from sisgate.testing.provider import Place, ScriptedTransport
from sisgate.testing.worker_code import worker_code

DEFAULT: Mapping[str, Any] = {
    "providers": {
        kind: {"kind": kind, "auth": "none", "endpoints": [{"url": f"https://{kind}.test"}]}
        for kind in ("powerschool", "infinite_campus", "skyward")
    }
}
"""The providers of a double that is given none: one of each of the mission's kinds."""

_OF_THE_NETWORK = frozenset({
    "token_url", "token_method", "scope", "oauth1_signature", "rotation", "ca_file",
    "client_cert", "client_key", "proxy", "no_proxy",
})  # fmt: skip
"""Settings of a provider that mean nothing where nobody is reached."""


def settings_of(source: Mapping[str, Any] | Path | None, folder: Path, app: str) -> Settings:
    """Return the settings of an installation in a folder, with its master key and its ledger."""
    here = ConfigSource(name="the configuration of the test")
    document = dict(read_file(source).document if isinstance(source, Path) else source or DEFAULT)
    document["providers"] = {
        name: {each: value for each, value in values.items() if each not in _OF_THE_NETWORK}
        | {"auth": "none"}
        for name, values in document.get("providers", {}).items()
    }
    fleet = draft_of(document, here).configuration
    values = {name: getattr(fleet, name) for name in FleetSettings.model_fields}
    settings = Settings(**values, data_dir=folder, app_name=app)
    make_master_key(settings.master_key_path)
    shutil.copyfile(_empty_ledger(), folder / "sisgate.db")
    return settings


@cache
def _empty_ledger() -> Path:
    """Return a file with all tables, made once for all tests of a process."""
    folder = tempfile.mkdtemp(prefix="sisgate-double-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = Path(folder) / "empty.db"
    database = Database(f"sqlite:///{file}")
    migrate.upgrade(database)
    database.dispose()
    return file


def runtime_of(settings: Settings, clock: SteppedClock, redis: Any, providers: Any) -> Any:
    """Return what a worker works with, whose requests are answered by the test."""
    transport = ScriptedTransport(clock, providers)

    class RuntimeOfTest(worker_code().runtime.Runtime):  # type: ignore[misc]  # loaded by hand
        @property
        def transport(self) -> ScriptedTransport:
            return transport

    return RuntimeOfTest(settings, clock, script_clock=clock, redis=redis)


def place_of(config: ProviderConfig, url: str) -> Place:
    """Return what is at an endpoint of a provider."""
    base_path = getattr(config.dialect, "base_path", None)
    return Place(config.name, config.kind, urlsplit(url).path.rstrip("/"), base_path)


def origin_of(url: str) -> str:
    """Return scheme and host of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
