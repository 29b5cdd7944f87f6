"""Configuration: read once from `sisgate.toml` and the environment, frozen, then handed around."""

from sisgate.settings.load import load_settings
from sisgate.settings.model import Endpoint, PathRule, ProviderConfig, Settings

__all__ = ["Endpoint", "PathRule", "ProviderConfig", "Settings", "load_settings"]
