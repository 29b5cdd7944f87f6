"""Which extra of the distribution brings which module, for a message where one is missing."""

from __future__ import annotations

from importlib.util import find_spec

from sisgate.errors import ConfigurationError

MODULES = {
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
    return next((extra for extra, modules in MODULES.items() if top in modules), None)


def missing_extra(extra: str, what: str) -> ConfigurationError:
    """Return the error of `what` where an extra is not installed."""
    return ConfigurationError(
        f"{what} needs the extra '{extra}' of sisgate, which is not installed. "
        f"Install it with: pip install 'sisgate[{extra}]' "
        "('sisgate[all]' brings everything that one machine needs)."
    )


def need(what: str, *extras: str) -> None:
    """Raise `ConfigurationError` unless every module of `extras` can be imported."""
    for extra in extras:
        if any(find_spec(module) is None for module in MODULES[extra]):
            raise missing_extra(extra, what)
