"""The settings, gateway and output of one run of the command, created on first use."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisgate.cli.presenter import Presenter
from sisgate.clock import Clock
from sisgate.start_up import gc_frozen_imports

if TYPE_CHECKING:
    from sisgate.gateway import Gateway
    from sisgate.settings import Settings


@dataclass
class Invocation:
    """The global options, and what they lead to."""

    config: Path | None = None
    data_dir: Path | None = None
    as_json: bool = False

    def take(self, options: Mapping[str, Any]) -> None:
        """Set the global options that are present."""
        for name in ("config", "data_dir", "as_json"):
            if options.get(name):
                setattr(self, name, options[name])

    @cached_property
    def output(self) -> Presenter:
        """Where results and messages go."""
        return Presenter(self.as_json)

    @cached_property
    def settings(self) -> Settings:
        """The configuration. Raises `ConfigurationError` with every mistake."""
        with gc_frozen_imports():
            from sisgate.settings import load_settings

        return load_settings(self.config, data_dir=self.data_dir)

    @cached_property
    def gateway(self) -> Gateway:
        """The gateway. It connects on first use."""
        settings = self.settings
        with gc_frozen_imports():
            from sisgate.gateway import Gateway

            return Gateway(settings, user=user_name())

    @property
    def clock(self) -> Clock:
        """The fleet's clock, or this machine's if no server can be reached."""
        return self.gateway.context.clock


def user_name() -> str:
    """Return the name of the user, for the audit log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
