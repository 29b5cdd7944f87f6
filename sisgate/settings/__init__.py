"""Configuration: read once from `sisgate.toml` and the environment, frozen, then passed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sisgate.start_up import names_from

if TYPE_CHECKING:
    from sisgate.settings.load import load_settings
    from sisgate.settings.model import Settings
    from sisgate.settings.provider import ProviderConfig
    from sisgate.settings.provider_parts import Endpoint, PathRule
else:
    __getattr__ = names_from(
        __name__,
        {
            "sisgate.settings.load": "load_settings",
            "sisgate.settings.model": "Settings",
            "sisgate.settings.provider": "ProviderConfig",
            "sisgate.settings.provider_parts": "Endpoint PathRule",
        },
    )

__all__ = ["Endpoint", "PathRule", "ProviderConfig", "Settings", "load_settings"]
