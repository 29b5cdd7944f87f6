"""Configuration: read once from `sisgate.toml` and the environment, frozen, then passed on."""

from sisgate.settings.load import load_settings
from sisgate.settings.model import Settings
from sisgate.settings.provider import ProviderConfig
from sisgate.settings.provider_parts import Endpoint, PathRule

__all__ = ["Endpoint", "PathRule", "ProviderConfig", "Settings", "load_settings"]
