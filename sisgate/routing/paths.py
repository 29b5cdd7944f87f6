"""Path rules: which group of endpoints a path belongs to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class PathRule:
    """Paths that match `pattern` (`*` stands for anything, also for slashes) go to `group`."""

    pattern: str
    group: str


class Grouped(Protocol):
    """An endpoint, as far as path rules know it."""

    @property
    def group(self) -> str | None:
        """The group that the endpoint belongs to, None for the one of all other paths."""
        ...


E = TypeVar("E", bound=Grouped)


def group_of(path: str, rules: Sequence[PathRule]) -> str | None:
    """Return the group of the first rule that matches a path, None if none does.

    >>> rules = [PathRule("/ws/schema/query/*", "powerquery")]
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
