"""The kinds of SIS. A new kind is one module and one line here."""

from __future__ import annotations

from sisgate.errors import ConfigurationError
from sisgate.providers.dialect import Dialect, DialectOptions
from sisgate.providers.infinite_campus import InfiniteCampus
from sisgate.providers.oneroster import OneRoster
from sisgate.providers.powerschool import PowerSchool
from sisgate.providers.skyward import Skyward

DIALECTS: dict[str, type[Dialect]] = {
    "infinite_campus": InfiniteCampus,
    "oneroster": OneRoster,
    "powerschool": PowerSchool,
    "skyward": Skyward,
}


def dialect_for(kind: str, options: DialectOptions | None = None) -> Dialect:
    """Return the dialect of `kind`; `ConfigurationError` where the kind or an option is unknown."""
    if kind not in DIALECTS:
        known = ", ".join(sorted(DIALECTS))
        raise ConfigurationError(f"There is no kind {kind!r} of provider; there are {known}.")
    return DIALECTS[kind](options or DialectOptions())
