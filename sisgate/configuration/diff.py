"""What differs between two configurations, by table and setting. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["add", "change", "remove"]

_GROUPS = ("providers", "apps", "schedules", "calendars")
"""Tables of tables: each of their entries is added, changed or removed as a whole."""


@dataclass(frozen=True)
class SettingChange:
    """One setting, as a dotted name within its table. None is "not set", so the default holds."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class TableChange:
    """One table (`providers.lincoln`), or a setting without one, and its changed settings."""

    kind: Kind
    subject: str
    settings: tuple[SettingChange, ...] = ()


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[TableChange]:
    """Return how one document differs from another, in the order of the tables.

    >>> old = {"providers": {"a": {"limit": "5/s"}, "b": {}}}
    >>> new = {"providers": {"a": {"limit": "9/s"}, "c": {"kind": "skyward"}}}
    >>> for change in differences(old, new):
    ...     print(
    ...         change.kind, change.subject, [(s.name, s.before, s.after) for s in change.settings]
    ...     )
    change providers.a [('limit', '5/s', '9/s')]
    remove providers.b []
    add providers.c [('kind', None, 'skyward')]
    """
    changes: list[TableChange] = []
    for name in dict.fromkeys([*before, *after]):
        if name in _GROUPS:
            changes += _entries(name, before.get(name, {}), after.get(name, {}))
        elif before.get(name) != after.get(name):
            old, new = (side.get(name) for side in (before, after))
            settings = tuple(_settings(_as_table(name, old), _as_table(name, new)))
            changes.append(TableChange(_kind(old, new), name, settings))
    return changes


def _entries(
    group: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[TableChange]:
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        settings = () if new is None else tuple(_settings(old or {}, new))
        yield TableChange(_kind(old, new), f"{group}.{name}", settings)


def _kind(before: Any, after: Any) -> Kind:
    if before is None:
        return "add"
    return "remove" if after is None else "change"


def _as_table(name: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return {} if value is None else {name: value}


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[SettingChange]:
    old, new = dict(_leaves(before)), dict(_leaves(after))
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield SettingChange(name, old.get(name), new.get(name))


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the settings of a table; those of an endpoint by its URL."""
    for name, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        elif name == "endpoints" and _have_urls(value):
            for endpoint in value:
                rest = {key: each for key, each in endpoint.items() if key != "url"}
                yield f"{prefix}{name}.{endpoint['url']}", rest or {"weight": 1}
        else:
            yield f"{prefix}{name}", value


def _have_urls(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, Mapping) and isinstance(each.get("url"), str) for each in value
    )
