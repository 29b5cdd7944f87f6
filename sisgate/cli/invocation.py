"""The settings, gateway and output of one run of the command, created on first use.

What answers is the installation of this machine, or an HTTP service: that of `--url`, or without
`--config` and `--data-dir` on the command line that of `SISGATE_URL`.
"""

from __future__ import annotations

import getpass
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisgate.cli.formats import commands_of, program
from sisgate.cli.presenter import Presenter
from sisgate.clock import Clock, SystemClock
from sisgate.errors import UsageError
from sisgate.start_up import gc_frozen_imports

if TYPE_CHECKING:
    from sisgate.client import HttpGateway
    from sisgate.gateway import Gateway
    from sisgate.settings import Settings


COMPLETION_SECONDS = 1.0
"""How long the completion of a word waits for a service."""


class Needs(Enum):
    """What a command needs that no HTTP service gives."""

    INSTALLATION = "its database, its keys or its files"
    MACHINE = "programs that run, or files that are written, on this machine"


@dataclass
class Invocation:
    """The global options, and what they lead to."""

    config: Path | None = None
    data_dir: Path | None = None
    as_json: bool = False
    url: str | None = None
    is_here: bool = False
    """Whether the command line names a configuration file or data folder of this machine."""
    is_completion: bool = False
    """Whether it only completes a word: it does not wait for a service, and prints nothing."""

    def take(self, options: Mapping[str, Any]) -> None:
        """Set the global options that are present on the command line."""
        for name in ("config", "data_dir", "as_json", "url"):
            if options.get(name):
                setattr(self, name, options[name])
        self.is_here |= bool(options.get("config") or options.get("data_dir"))

    @property
    def service(self) -> str | None:
        """The URL of the HTTP service that answers; None for the installation of this machine.

        Raises `ConfigurationError` for one that may hold a password, so that nobody shows it.
        """
        from sisgate.settings.service import checked_url

        named = self._named
        return None if named is None else checked_url(named)

    @property
    def _named(self) -> str | None:
        """What the command line or the environment gives for the URL of the service."""
        if self.url is None:
            from sisgate.settings.service import service_url

            return None if self.is_here else service_url()
        if self.is_here:
            raise UsageError(
                "--url asks an HTTP service, --config and --data-dir the installation of this "
                "machine: give one or the other."
            )
        return self.url

    def require_here(self, command: str, needs: Needs) -> None:
        """Raise `UsageError` for a command that no service does; note it where it does no harm."""
        if self._named is None:
            return
        if needs is Needs.INSTALLATION or self.url:
            raise UsageError(
                f"`{command}` needs the installation itself, and {self.place} is an HTTP service: "
                "run it there, or name the installation with --config or --data-dir."
            )
        self.output.note(f"`{command}` runs on this machine, whatever SISGATE_URL says.")

    @property
    def place(self) -> str:
        """What answers, for people."""
        origin = "--url" if self.url else "SISGATE_URL"
        return f"{self.service} ({origin})" if self.service else "the installation of this machine"

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
    def gateway(self) -> Gateway | HttpGateway:
        """The gateway, of a service or here. It connects on first use."""
        if self.service is None:
            return self.installation
        with gc_frozen_imports():
            from sisgate.client import HttpGateway
            from sisgate.settings.service import open_token_file

        if self.is_completion:
            return HttpGateway(self.service, timeout=COMPLETION_SECONDS, repeats=0)
        if (file := open_token_file()) is not None:
            self.output.warn(f"Other users of this machine can read {file}: chmod 600 it.")
        return HttpGateway(self.service)

    @cached_property
    def installation(self) -> Gateway:
        """The gateway of this machine's installation. It connects on first use."""
        settings = self.settings
        with gc_frozen_imports():
            from sisgate.gateway import Gateway

            return Gateway(settings, user=user_name())

    def close(self) -> None:
        """Close the gateways that the command has used: whoever runs commands goes on."""
        used = [vars(self)[name] for name in ("gateway", "installation") if name in vars(self)]
        for gateway in {id(each): each for each in used}.values():
            gateway.close()

    @property
    def asked_service(self) -> bool:
        """Whether an HTTP service was asked, so that its answer may be what is wrong."""
        return "gateway" in vars(self) and self.service is not None

    @property
    def clock(self) -> Clock:
        """The fleet's clock, or this machine's if no server can be reached, or a service asked."""
        return SystemClock() if self.service else self.installation.context.clock

    @property
    def command(self) -> str:
        """The beginning of a command line that asks the same."""
        if self.service is None:
            return commands_of(self.settings)
        return f"{program()} --url {shlex.quote(self.url)}" if self.url else program()


def names_installation(context: Any) -> bool:
    """Return whether the options before the command name an installation of this machine."""
    sources = (context.get_parameter_source(name) for name in ("config", "data_dir"))
    return any(source is not None and source.name == "COMMANDLINE" for source in sources)


def user_name() -> str:
    """Return the name of the user, for the audit log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
