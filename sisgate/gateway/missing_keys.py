"""Master and audit keys that the ledger needs and this process lacks."""

from collections.abc import Mapping
from dataclasses import dataclass

from sisgate.audit.keys import ID_BYTES
from sisgate.context import audit_keys
from sisgate.credentials import sealed
from sisgate.credentials.master import MasterKey, master_keys
from sisgate.errors import MasterKeyMissing
from sisgate.ledger import audit_log
from sisgate.ledger.audit_chain import newest_macs
from sisgate.ledger.database import Database
from sisgate.settings import Settings

GIVEN_UP = "keys:master:lost"
"""The event that declares a missing key lost, so that processes run without it."""


@dataclass(frozen=True)
class MissingKeys:
    """Missing master keys by id, with their sealed secrets by place, and missing audit keys."""

    masters: Mapping[str, Mapping[str, int]]
    audit: tuple[str, ...]

    @property
    def ids(self) -> list[str]:
        """All ids, in hex."""
        return [*self.masters, *self.audit]

    @property
    def error(self) -> MasterKeyMissing | None:
        """The error that names the missing keys, or None."""
        keys = [f"master key {key} ({_places(uses)})" for key, uses in self.masters.items()]
        keys += [f"audit key {key} (the newest of the audit log)" for key in self.audit]
        if not keys:
            return None
        return MasterKeyMissing(
            f"The ledger needs keys that are missing here: {'; '.join(keys)}. Restore the "
            "master key or the audit key file from your copy (docs/explanation/keys.md). If it is "
            "lost, `sisgate keys master --lost` continues without what it sealed."
        )


def missing_keys(
    settings: Settings, database: Database, *, of_providers_only: bool = False
) -> MissingKeys:
    """Return the keys that the ledger needs and this process lacks, except those declared lost.

    Checks the newest seal and event of the audit log. `of_providers_only` counts no sealed requests
    and responses, of which there may be millions. The ledger must have its tables. Raises
    `MasterKeyMissing` for an unreadable key.
    """
    masters = at_hand(settings)
    present = {master.id.hex() for master in masters}
    audit_here = set[str]()
    if masters or settings.audit_key_file is not None:
        audit_here = {key.id.hex() for key in audit_keys(settings).keys}
    columns = sealed.OF_PROVIDERS if of_providers_only else sealed.SEALED
    uses = {key: by for key, by in sealed.uses(database, columns).items() if key not in present}
    with database.read() as session:
        proving = {mac[:ID_BYTES].hex() for mac in newest_macs(session)} - audit_here
        lost = audit_log.subjects(session, GIVEN_UP, {*uses, *proving})
    return MissingKeys(
        {key: by for key, by in uses.items() if key not in lost}, tuple(sorted(proving - lost))
    )


def is_given_up(database: Database, error: MasterKeyMissing) -> bool:
    """Return whether the master key that an error misses was declared lost: it will not come."""
    key = error.detail.get("master_key")
    if key is None:
        return False
    with database.read() as session:
        return bool(audit_log.subjects(session, GIVEN_UP, {key}))


def at_hand(settings: Settings) -> list[MasterKey]:
    """Return the master keys; none if the configured file does not exist."""
    elsewhere = settings.master_key is not None or settings.master_key_command
    if not elsewhere and not settings.master_key_path.exists():
        return []
    return master_keys(settings)


def _places(uses: Mapping[str, int]) -> str:
    return ", ".join(f"{count} in {place}" for place, count in uses.items())
