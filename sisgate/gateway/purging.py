"""Deleting what a removed provider left; its jobs, keys and audit events stay."""

from collections.abc import Mapping

from sisgate.access.policy import Action
from sisgate.audit.events import PROVIDER_PURGED
from sisgate.errors import UnknownProvider, UsageError
from sisgate.gateway.core import Core
from sisgate.ledger import configuration as ledger
from sisgate.ledger import removal


def purge(core: Core, provider: str, actor: str, reason: str | None) -> Mapping[str, int]:
    """Delete its records, changes and responses, and return the counts by table."""
    actor = core.access.require(Action.ADMINISTER).token_actor or actor
    _check_removed(core, provider)
    event = {"actor": actor, "action": PROVIDER_PURGED, "subject": provider}
    core.audit(**event, provider=provider, reason=reason, phase="begin")
    rows = removal.purge(core.database, provider)
    core.audit(**event, provider=provider, reason=reason, phase="end", rows=dict(rows))
    return rows


def left_by(core: Core, provider: str) -> Mapping[str, int]:
    """Return what `purge` would delete, by table, also of a provider that is configured."""
    core.access.require(Action.ADMINISTER)
    with core.database.read() as session:
        is_configured = ledger.has_provider(session, provider)
        rows = removal.owned_by(session, provider)
    if not is_configured:
        _check_removed(core, provider)
    return rows


def _check_removed(core: Core, provider: str) -> None:
    # The ledger is asked: this process may lag, or not understand the provider's table.
    with core.database.read() as session:
        if not ledger.newest(session):
            raise UsageError(
                "The ledger has no version of the configuration yet, so another host's file "
                f"may have {provider}. Apply one without it first.",
                provider=provider,
            )
        if ledger.has_provider(session, provider):
            raise UsageError(f"{provider} is configured: remove it first.", provider=provider)
        known = ledger.removed(session, [provider]) or removal.left_something(session, provider)
    if not known:
        raise UnknownProvider(
            f"There was never a provider {provider!r}: nothing of it is stored. "
            "`sisgate config history` names those that were removed.",
            provider=provider,
        )
