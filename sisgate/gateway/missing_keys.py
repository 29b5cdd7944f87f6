"""Master and audit keys that a ledger needs and this process does not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sisgate.audit.keys import ID_BYTES
from sisgate.context import audit_keys
from sisgate.credentials import sealed
from sisgate.credentials.master import MasterKey, master_keys
from sisgate.errors import CredentialError
from sisgate.ledger import audit_log
from sisgate.ledger.audit_chain import newest_macs
from sisgate.ledger.database import Database
from sisgate.settings import Settings

GIVEN_UP = "keys:master:lost"
"""The event that declares a missing key lost: from then on its absence stops nobody."""


@dataclass(frozen=True)
class MissingKeys:
    """What is missing: master keys by id with what each has sealed by place, audit keys by id."""

    masters: Mapping[str, Mapping[str, int]]
    audit: tuple[str, ...]

    @property
    def ids(self) -> list[str]:
        """All ids, in hex."""
        return [*self.masters, *self.audit]

    @property
    def error(self) -> CredentialError | None:
        """The error that says what is missing, or None."""
        keys = [f"master key {key} ({_places(uses)})" for key, uses in self.masters.items()]
        keys += [f"audit key {key} (the newest of the audit log)" for key in self.audit]
        if not keys:
            return None
        return CredentialError(
            f"The ledger is in use and needs keys that are not here: {'; '.join(keys)}. Put the "
            "master key, or the audit key file, back from your copy (docs/explanation/keys.md). "
            "If it is gone for good, `sisgate keys master --lost` continues without what it sealed."
        )


def missing_keys(settings: Settings, database: Database) -> MissingKeys:
    """Return what the ledger needs and is not here, except what was declared lost.

    Of the audit log, the newest seal and event are checked. The ledger must have its tables. Raises
    `CredentialError` if there is a key that cannot be read.
    """
    masters = at_hand(settings)
    here = {master.id.hex() for master in masters}
    audit_here = set[str]()
    if masters or settings.audit_key_file is not None:
        audit_here = {key.id.hex() for key in audit_keys(settings).keys}
    uses = {key: by for key, by in sealed.uses(database).items() if key not in here}
    with database.read() as session:
        proving = {mac[:ID_BYTES].hex() for mac in newest_macs(session)} - audit_here
        lost = audit_log.subjects(session, GIVEN_UP, {*uses, *proving})
    return MissingKeys(
        {key: by for key, by in uses.items() if key not in lost},
        tuple(sorted(proving - lost)),
    )


def at_hand(settings: Settings) -> list[MasterKey]:
    """Return the master keys; none if they could only be in the file and it does not exist."""
    elsewhere = settings.master_key is not None or settings.master_key_command
    if not elsewhere and not settings.master_key_path.exists():
        return []
    return master_keys(settings)


def _places(uses: Mapping[str, int]) -> str:
    return ", ".join(f"{count} in {place}" for place, count in uses.items())
