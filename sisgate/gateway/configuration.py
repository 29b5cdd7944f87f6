"""The configuration of the fleet: its versions, and the one in force."""

from __future__ import annotations

from sisgate.configuration import FleetConfiguration
from sisgate.gateway.core import Core


class Configuration:
    """The fleet-wide settings: what is in force."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def current(self) -> FleetConfiguration:
        """Return the configuration in force, at most half a second old."""
        return self._core.configuration.current()
