"""Changes of a document that concern one provider. Pure: each returns another document."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from sisgate.configuration.document import Document
from sisgate.domain.validation import did_you_mean, some_of
from sisgate.errors import UnknownProvider, UsageError

Settings = Mapping[str, Any]


def with_provider(document: Document, name: str, settings: Settings) -> Document:
    """Return the document with one more provider; `settings` may have dotted names."""
    if name in document.get("providers", {}):
        raise UsageError(
            f"There is a provider {name} already. Change it with `sisgate providers edit {name}`."
        )
    new = _copy(document)
    table: dict[str, Any] = {}
    for setting, value in settings.items():
        _set(table, setting, value)
    new["providers"][name] = table
    return new


def with_settings(
    document: Document, name: str, settings: Settings, unset: Iterable[str] = ()
) -> Document:
    """Return the document with some settings of a provider changed, others back to default."""
    new = _copy(document)
    table = _provider(new, name)
    for setting in unset:
        _unset(table, setting, name)
    for setting, value in settings.items():
        _set(table, setting, value)
    return new


def without_providers(document: Document, names: Sequence[str]) -> Document:
    """Return the document without some providers, and without their schedules."""
    new = _copy(document)
    for name in names:
        _provider(new, name)
        del new["providers"][name]
    schedules = new.get("schedules", {})
    for schedule in [key for key, each in schedules.items() if each.get("provider") in names]:
        del schedules[schedule]
    return new


def with_renamed_endpoint(document: Document, name: str, old: str, url: str) -> Document:
    """Return the document with another URL for one endpoint; its other settings stay."""
    new = _copy(document)
    endpoints = _provider(new, name).get("endpoints", [])
    urls = [each["url"].rstrip("/") for each in endpoints]
    if old.rstrip("/") not in urls:
        raise UsageError(
            f"{name} has no endpoint {old}; it has {', '.join(urls) or 'none'}."
            f"{did_you_mean(old, urls)}"
        )
    if url.rstrip("/") in urls:
        raise UsageError(f"{name} has an endpoint {url} already.")
    endpoints[urls.index(old.rstrip("/"))]["url"] = url
    return new


def _copy(document: Document) -> Document:
    new = deepcopy(document)
    new.setdefault("providers", {})
    return new


def _provider(document: Document, name: str) -> dict[str, Any]:
    providers = document["providers"]
    if name not in providers:
        raise UnknownProvider(
            f"No provider {name!r} is in the configuration. Configured: "
            f"{some_of(sorted(providers))}.{did_you_mean(name, providers)}",
            provider=name,
        )
    table: dict[str, Any] = providers[name]
    return table


def _set(table: dict[str, Any], setting: str, value: Any) -> None:
    *path, last = setting.split(".")
    for part in path:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UsageError(f"{setting}: {part} is not a table.")
        table = inner
    table[last] = value


def _unset(table: dict[str, Any], setting: str, provider: str) -> None:
    *path, last = setting.split(".")
    inner: Any = table
    for part in path:
        inner = inner.get(part) if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or last not in inner:
        raise UsageError(f"{provider} does not set {setting}, so its default holds already.")
    del inner[last]
    if path and not inner:
        _unset(table, ".".join(path), provider)
