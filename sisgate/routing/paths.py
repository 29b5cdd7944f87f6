"""Path rules: which group of endpoints a path belongs to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Protocol, TypeVar

from sisgate.settings import PathRule

KIND_RULES: Mapping[str, tuple[PathRule, ...]] = MappingProxyType(
    {
        "powerschool": (
            PathRule(pattern="/ws/schema/query/*", group="powerquery"),
            PathRule(pattern="/ws/schema/table/*", group="table"),
        )
    }
)
"""What is usual for a kind, after a provider's own rules. Groups without endpoints don't matter."""


def rules_of(kind: str, own: Sequence[PathRule]) -> tuple[PathRule, ...]:
    """Return a provider's rules: its own, then those of its kind."""
    return (*own, *KIND_RULES.get(kind, ()))


class Grouped(Protocol):
    """An endpoint, as far as path rules know it."""

    @property
    def group(self) -> str | None:
        """The group that the endpoint belongs to, None for the one of all other paths."""
        ...


E = TypeVar("E", bound=Grouped)


def group_of(path: str, rules: Sequence[PathRule]) -> str | None:
    """Return the group of the first rule that matches a path, None if none does.

    >>> rules = [PathRule(pattern="/ws/schema/query/*", group="powerquery")]
    >>> group_of("/ws/schema/query/org.example.students", rules)
    'powerquery'
    """
    return next((rule.group for rule in rules if fnmatchcase(path, rule.pattern)), None)


def members(path: str, endpoints: Sequence[E], rules: Sequence[PathRule]) -> list[E]:
    """Return the endpoints that may serve a path, never none.

    A group without endpoints is as if its rule were not there. A path without a group goes to the
    endpoints without one, or to all if each has one.
    """
    served = {endpoint.group for endpoint in endpoints}
    group = group_of(path, [rule for rule in rules if rule.group in served])
    return [e for e in endpoints if e.group == group] or list(endpoints)
