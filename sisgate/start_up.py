"""Starting a process: modules load with the garbage collector off, and a missing extra is named."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from sisgate.errors import ConfigurationError


@contextmanager
def gc_frozen_imports() -> Iterator[None]:
    """Keep the garbage collector off while modules load, and what they made out of its sight after.

    Modules make some 100,000 objects that stay until the end. Going through them again and again
    is a sixth of the time that a command or a worker takes to start, and each collection later
    would go through them too; in the children of a worker it would also copy their memory.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


EXTRAS = {
    "cli": ("typer", "rich", "prometheus_client"),
    "worker": ("requests", "requests_oauthlib", "pybreaker", "alembic", "flower"),
    "sandbox": ("fastapi", "uvicorn", "faker", "orjson", "python_multipart"),
    "postgres": ("psycopg",),
}
"""What a person asks for by extra. `embedded` is missed where a server is looked for."""


def extra_of(module: str | None) -> str | None:
    """Return the extra that brings a module, or None.

    >>> extra_of("requests.adapters"), extra_of("json")
    ('worker', None)
    """
    top = (module or "").partition(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if top in modules), None)


def missing_extra(extra: str, what: str) -> ConfigurationError:
    """Return the error of `what` where an extra is not installed."""
    return ConfigurationError(
        f"{what} needs the extra '{extra}' of sisgate, which is not installed. "
        f"Install it with: pip install 'sisgate[{extra}]' "
        "('sisgate[all]' brings everything that one machine needs)."
    )


def require_extras(what: str, *extras: str) -> None:
    """Raise `ConfigurationError` unless every module of `extras` can be imported."""
    for extra in extras:
        if any(find_spec(module) is None for module in EXTRAS[extra]):
            raise missing_extra(extra, what)
