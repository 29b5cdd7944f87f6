"""Values that the shell completes: names of providers, resources, words. Never fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import typer

from sisgate.cli.invocation import Invocation
from sisgate.domain.records import ROSTER
from sisgate.settings import Settings

Completer = Callable[[str], list[str]]


def providers(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a configured provider."""
    settings = _settings(context)
    return _starting(sorted(settings.providers) if settings else [], incomplete)


def resources(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a resource of the provider that stands before it."""
    settings, name = _settings(context), context.params.get("provider")
    if settings and name in settings.providers:
        return _starting(list(settings.providers[name].dialect_class.resources), incomplete)
    return _starting(list(ROSTER), incomplete)


def one_of(*words: str) -> Completer:
    """Return a completer of fixed words."""
    return lambda incomplete: _starting(list(words), incomplete)


def _settings(context: typer.Context) -> Settings | None:
    given: dict[str, Any] = context.find_root().params
    # A configuration with mistakes completes nothing; the command itself will tell them.
    with suppress(Exception):
        return Invocation(given.get("config"), given.get("data_dir")).settings
    return None


def _starting(words: list[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]
