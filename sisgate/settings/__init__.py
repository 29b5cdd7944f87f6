"""Configuration: read once from `sisgate.toml` and the environment, frozen, then handed around."""

from sisgate.settings.load import load_settings
from sisgate.settings.model import Endpoint, ProviderConfig, Settings

__all__ = ["Endpoint", "ProviderConfig", "Settings", "load_settings"]
