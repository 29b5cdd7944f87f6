"""A configuration as it is stored: the tables of `sisgate.toml` that the fleet shares, as JSON.

What only one process needs (databases, keys, folders) is left out, and so is what a machine adds to
its providers (proxy, CA file from its environment). A document holds no secret.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

from sisgate.configuration.fleet_configuration import FleetConfiguration, KnownProviders
from sisgate.errors import ConfigurationError
from sisgate.settings.fleet import FleetSettings, mistakes
from sisgate.settings.load import read_toml, unknown_settings
from sisgate.settings.problems import ConfigSource, Place, in_file_order
from sisgate.settings.tables import NETWORK_FILES, relative_to

Document = dict[str, Any]

_SECRET = re.compile(r"password|passwd|secret|token|[a-z][_-]?key$", re.IGNORECASE)
"""Names of options, headers and parameters that hold a secret."""

_PROXY_IS_SECRET = (
    "has a password, which must not be stored with the configuration: remove this line, and give "
    "each process the URL in its environment, as HTTPS_PROXY (under Compose in the file .env). "
    "NO_PROXY lists the hosts to reach directly"
)
_NOTHING = "has no value (null): leave it out, and its default holds"
_OPTION_IS_SECRET = (
    "looks like a secret, which must not be stored with the configuration: name a file that holds "
    "it"
)


@dataclass(frozen=True)
class Draft:
    """A configuration that may be applied: the document, and what it means here."""

    document: Document
    configuration: FleetConfiguration

    @property
    def digest(self) -> str:
        """The digest of the document, whatever the order of its tables."""
        return digest(self.document)


def digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document, whatever the order of its tables."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_file(
    path: Path, known: KnownProviders | None = None, *, tables: Mapping[str, Any] | None = None
) -> Draft:
    """Return the fleet's part of a configuration file, of which `tables` may be known already.

    Raises one `ConfigurationError` with every mistake and its line.
    """
    problems: list[str] = []
    source, raw = read_toml(path, problems, tables)
    if problems:
        raise _refused(problems)
    return draft_of(raw, source, known)


def draft_of(
    raw: Mapping[str, Any], source: ConfigSource, known: KnownProviders | None = None
) -> Draft:
    """Return the fleet's part of parsed TOML, or of a document; raises as `read_file`.

    Files are relative to that of `source`. Unchanged providers are those of `known`.
    """
    problems = unknown_settings(raw, source)
    document = {
        name: json_ready(value) for name, value in raw.items() if name in FleetSettings.model_fields
    }
    _resolve_files(document, source.path)
    problems += [source.problem(place, _NOTHING) for place in _without_value(document)]
    problems += [source.problem(place, what) for place, what in _secrets(document)]
    configuration = FleetConfiguration.read(0, document, source=source, known=known)
    problems += configuration.problems
    if not problems:
        wrong = mistakes(configuration)
        problems += [source.problem(place, what) for place, what in wrong]
    if problems:
        raise _refused(problems)
    return Draft(document, configuration)


def json_ready(value: Any) -> Any:
    """Return a value of TOML as JSON has it; times and lengths of time become texts.

    >>> json_ready({"start": time(8), "every": timedelta(minutes=15), "days": (0, 1)})
    {'start': '08:00:00', 'every': 900.0, 'days': [0, 1]}
    """
    match value:
        case Mapping():
            return {str(name): json_ready(each) for name, each in value.items()}
        case list() | tuple():
            return [json_ready(each) for each in value]
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case PurePath():
            return str(value)
    return value


def _refused(problems: list[str]) -> ConfigurationError:
    many = f"{len(problems)} mistake{'s' if len(problems) > 1 else ''}"
    return ConfigurationError(
        f"The configuration has {many}, so it cannot be applied:", problems=in_file_order(problems)
    )


def _tables(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    providers = document.get("providers")
    for name, table in providers.items() if isinstance(providers, dict) else ():
        if isinstance(table, dict):
            yield name, table


def _resolve_files(document: Document, path: Path | None) -> None:
    """Name files by whole paths: another host has no file that these could be relative to."""
    for _, table in _tables(document):
        for name in NETWORK_FILES:
            if isinstance(table.get(name), str):
                table[name] = str(relative_to(path, table[name]))


def _without_value(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the place of each JSON null, which TOML and the differences cannot express."""
    if value is None:
        yield place
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _without_value(each, (*place, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _without_value(each, (*place, index))


def _secrets(document: Document) -> Iterator[tuple[Place, str]]:
    """Yield the place of each secret: versions are stored in plain text."""
    for name, table in _tables(document):
        proxy = table.get("proxy")
        if isinstance(proxy, str) and _has_password(proxy):
            yield ("providers", name, "proxy"), _PROXY_IS_SECRET
        for place, option in _options(table):
            if _SECRET.search(option) and not _is_a_name(option):
                yield ("providers", name, *place, option), _OPTION_IS_SECRET


def _options(table: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield place and name of each text that goes to a key source, or into every request."""
    rotation = table.get("rotation")
    places: list[tuple[Place, Any]] = [
        (("rotation", "options"), rotation.get("options") if isinstance(rotation, dict) else None)
    ]
    transforms = table.get("transforms")
    for index, rule in enumerate(transforms if isinstance(transforms, list) else ()):
        request = rule.get("request") if isinstance(rule, dict) else None
        if isinstance(request, dict):
            places += [
                (("transforms", index, "request", part), request.get(part))
                for part in ("headers", "query")
            ]
    for place, options in places:
        yield from _texts(options, place)


def _texts(options: Any, place: Place) -> Iterator[tuple[Place, str]]:
    for option, value in options.items() if isinstance(options, dict) else ():
        if isinstance(value, str | list):
            yield place, option
        yield from _texts(value, (*place, option))


def _is_a_name(option: str) -> bool:
    return option.endswith(("_file", "_path", "_name", "_id", "_url", "_env", "_command"))


def _has_password(url: str) -> bool:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
    except ValueError:  # which the URL's own check reports
        return False
    return parts.username is not None or parts.password is not None
