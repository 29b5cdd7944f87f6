"""The configuration of the fleet: its versions, and what each process uses of them."""

from sisgate.configuration.fleet_configuration import FleetConfiguration
from sisgate.configuration.live import LiveConfiguration

__all__ = ["FleetConfiguration", "LiveConfiguration"]
