"""One version of the fleet's configuration, as this process understands it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ValidationError

from sisgate.settings.fleet import FleetSettings, RetentionConfig
from sisgate.settings.load import network_of_this_machine
from sisgate.settings.problems import ConfigSource
from sisgate.settings.provider import ProviderConfig
from sisgate.settings.tables import read_providers


class FleetConfiguration(FleetSettings):
    """The fleet-wide settings in force, frozen.

    `version` is the ledger's number, 0 for what this process's own file (or code) says.
    `problems` are the parts of that version that this process cannot use, such as a provider of a
    kind that its code does not know; it serves the others.
    """

    version: int = 0
    problems: tuple[str, ...] = ()

    def problems_of(self, provider: str) -> list[str]:
        """Return why this process cannot use a provider; empty if it can, or does not know it."""
        place = f"providers.{provider}."
        return [each for each in self.problems if f"{each.split(': ')[1]}.".startswith(place)]

    @classmethod
    def of(cls, settings: FleetSettings) -> FleetConfiguration:
        """Return version 0: what the settings of a process say."""
        return cls.model_construct(**{name: getattr(settings, name) for name in _FIELDS})

    @classmethod
    def read(
        cls,
        version: int,
        document: Mapping[str, Any],
        *,
        source: ConfigSource | None = None,
        known: KnownProviders | None = None,
    ) -> Self:
        """Return a version of the ledger, completed with what this machine adds (proxy, CA file).

        A provider whose table is that of `known` keeps its object. `source` is where `problems`
        say that the document is from.
        """
        problems: list[str] = []
        network, _ = network_of_this_machine()
        tables = document.get("providers", {})
        kept = known.unchanged(tables) if known and isinstance(tables, Mapping) else {}
        changed = _without(tables, kept)
        source = source or ConfigSource(name=f"version {version}")
        read = {**kept, **read_providers(changed, None, source, problems, network)}
        in_order = [name for name in tables if name in read] if read else []
        values: dict[str, Any] = {"providers": {name: read[name] for name in in_order}}
        for name in _FIELDS[1:]:
            if name not in document:
                continue
            try:
                part = FleetSettings.model_validate({name: document[name]})
            except ValidationError as error:
                problems += source.problems(error, FleetSettings)
                if name == "retention":
                    values[name] = _KEEP_ALL
            else:
                values[name] = getattr(part, name)
        problems += [
            source.problem((name,), "is not a setting that this version of sisgate knows")
            for name in document
            if name not in _FIELDS
        ]
        return cls(version=version, problems=tuple(problems), **values)


_FIELDS = tuple(FleetSettings.model_fields)
assert _FIELDS[0] == "providers"

_KEEP_ALL = RetentionConfig(**dict.fromkeys(RetentionConfig.model_fields))
"""What a process deletes that does not understand how long things are kept: nothing."""


def _without(tables: Any, names: Mapping[str, Any]) -> Any:
    if not isinstance(tables, Mapping):
        return tables  # a mistake, which is reported as such
    return {name: table for name, table in tables.items() if name not in names}


class KnownProviders:
    """The providers of a version, and the tables that they were read from."""

    def __init__(
        self, configs: Mapping[str, ProviderConfig], tables: Mapping[str, Any] | None
    ) -> None:
        self._configs = configs
        self._tables = tables or {}

    def unchanged(self, tables: Mapping[str, Any]) -> dict[str, ProviderConfig]:
        """Return the providers whose tables are still the same."""
        return {
            name: config
            for name, config in self._configs.items()
            if name in tables and self._tables.get(name) == tables[name]
        }
