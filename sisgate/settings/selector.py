"""Choosing several providers at once, by pool, kind or name."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Protocol

from sisgate.settings.fields import Frozen


class Named(Protocol):
    """What a provider is chosen by."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def kind(self) -> str:
        """Its kind."""

    @property
    def pool(self) -> str | None:
        """Its pool."""


class ProviderSelector(Frozen):
    """The providers for which every given condition holds; without any, all.

    `name` is a pattern in which `*` matches anything.
    """

    pool: str | None = None
    kind: str | None = None
    name: str | None = None

    def matches(self, provider: Named) -> bool:
        """Return whether a provider is meant."""
        return (
            self.pool in {None, provider.pool}
            and self.kind in {None, provider.kind}
            and (self.name is None or fnmatchcase(provider.name, self.name))
        )

    def select(self, providers: Iterable[Named]) -> list[str]:
        """Return the names of the providers that are meant, sorted."""
        return sorted(each.name for each in providers if self.matches(each))

    def __str__(self) -> str:
        """Return the conditions, as `sisgate sync --where` takes them.

        >>> str(ProviderSelector(pool="north", name="l*")), str(ProviderSelector())
        ('pool=north name=l*', 'all')
        """
        given = self.model_dump(exclude_none=True)
        return " ".join(f"{name}={value}" for name, value in given.items()) or "all"
