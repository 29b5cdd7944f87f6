"""What is said about a provider that was removed from the configuration."""

from contextlib import suppress

from sisgate.errors import DatabaseUnavailable, ProviderRemoved
from sisgate.ledger import configuration as ledger
from sisgate.ledger.configuration import VersionInfo
from sisgate.ledger.database import Database


def removed_error(provider: str, version: VersionInfo) -> ProviderRemoved:
    """Return the error of work for a provider that a version removed."""
    why = f": {version.reason}" if version.reason else ""
    return ProviderRemoved(
        f"Provider {provider} was removed from the configuration in version {version.number}, by "
        f"{version.actor} at {version.created_at:%Y-%m-%d %H:%M} UTC{why}.",
        provider=provider,
        version=version.number,
        by=version.actor,
    )


def removal_error(database: Database, provider: str) -> ProviderRemoved | None:
    """Return the error of new work for a provider; None if no version is known to have removed it.

    Without the ledger nothing is known.
    """
    with suppress(DatabaseUnavailable), database.read() as session:
        version = ledger.removed(session, [provider]).get(provider)
        return removed_error(provider, version) if version is not None else None
    return None
