"""The tables of the configuration, `[providers.NAME]` and others, validated one by one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sisgate.settings.problems import ConfigSource
from sisgate.settings.provider import NAME, RESERVED_NAMES, ProviderConfig

NETWORK_FILES = ("ca_file", "client_cert", "client_key")
"""Settings of a provider that name files."""


def read_providers(
    tables: Any,
    path: Path | None,
    source: ConfigSource,
    problems: list[str],
    network: Mapping[str, Any],
) -> dict[str, ProviderConfig]:
    """Return the providers of the `[providers.NAME]` tables; adds what is wrong to `problems`.

    `path` is the file they are from, None for tables that the ledger keeps; `network` is what this
    machine adds.
    """
    providers: dict[str, ProviderConfig] = {}
    if not isinstance(tables, Mapping):
        problems.append(source.problem(("providers",), "write [providers.NAME] tables"))
        return providers
    for name, table in tables.items():
        place = ("providers", name)
        has_good_name = NAME.fullmatch(name) and name not in RESERVED_NAMES
        if not has_good_name:
            # Its other mistakes are reported too, so that all can be corrected at once.
            what = (
                "a name has lower-case letters, digits, _ and -; it begins with a letter and is "
                "not 'sisgate'"
            )
            problems.append(source.problem(place, what))
        if not isinstance(table, Mapping) or "name" in table:
            what = "write a table [providers.NAME] without 'name'"
            problems.append(source.problem(place, what))
            continue
        try:
            config = ProviderConfig(name=name, **_networked(table, path, network))
        except ValidationError as error:
            problems.extend(source.problems(error, ProviderConfig, place))
        else:
            if has_good_name:
                providers[name] = config
    return providers


def _networked(
    table: Mapping[str, Any], path: Path | None, defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a provider's table completed with the environment's network settings.

    The table's own settings take precedence; NO_PROXY applies only to the environment's proxy.
    """
    files = {name: relative_to(path, table[name]) for name in NETWORK_FILES if name in table}
    own = {**table, **files}
    skipped = {"no_proxy"} if "proxy" in table else set()
    return {**{name: v for name, v in defaults.items() if name not in skipped}, **own}


def relative_to(config: Path | None, file: Any) -> Any:
    """Return a file named in the configuration, resolved relative to the configuration file."""
    if not isinstance(file, str | Path):
        return file
    place = Path(file).expanduser()
    return place if config is None or place.is_absolute() else config.parent / place
