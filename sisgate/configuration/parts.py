"""Digests of the parts of a process's configuration: what differs between two processes. Pure."""

import hashlib

from sisgate.configuration.fleet_configuration import FleetConfiguration
from sisgate.settings import Settings
from sisgate.settings.fleet import FleetSettings

OF_THE_MACHINE = {"ca_file", "client_cert", "client_key", "proxy", "no_proxy"}
"""Settings of a provider that differ between machines, and that may hold a password."""

ACCESS = ("access", "broker_scopes")
"""Settings of a process that no version holds, and that must be the same in the whole fleet."""

MOST_PROVIDERS = 100
"""With more providers, they are one part: heartbeats stay small."""


def digests_of_parts(settings: Settings, fleet: FleetConfiguration) -> dict[str, str]:
    """Return a digest of each setting that must be the same in all processes of a fleet.

    On version 0, which each process has from its own file, also of each `providers.NAME` and of
    each other fleet-wide setting. They reveal no setting.
    """
    parts = {name: _digest(settings.model_dump_json(include={name})) for name in ACCESS}
    if fleet.version:
        return parts
    others = set(FleetSettings.model_fields) - {"providers"}
    parts |= {name: _digest(fleet.model_dump_json(include={name})) for name in sorted(others)}
    providers = {
        f"providers.{name}": _digest(config.model_dump_json(exclude=OF_THE_MACHINE))
        for name, config in sorted(fleet.providers.items())
    }
    if len(providers) > MOST_PROVIDERS:
        providers = {"providers": _digest(str(providers))}
    return parts | providers


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
