"""What `sisgate doctor` says of a provider's keys before they fail: those that expire soon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sisgate.cli.findings import Finding
from sisgate.cli.screens import moment
from sisgate.credentials.keys import list_keys
from sisgate.domain.states import KeyState
from sisgate.ledger.database import Database
from sisgate.settings import ProviderConfig


def expiring(database: Database, config: ProviderConfig, now: datetime) -> Iterator[Finding]:
    """Yield a finding for each active key that expires within `rotation.warn_before`."""
    with database.read() as session:
        found = [
            key
            for key in list_keys(session, config.name)
            if key.state == KeyState.ACTIVE
            and key.expires_at is not None
            and key.expires_at - config.rotation.warn_before <= now
        ]
    by_hand = config.rotation.source == "hand"
    for key in found:
        assert key.expires_at is not None
        words = "has expired" if key.expires_at <= now else f"expires at {moment(key.expires_at)}"
        slot = f" --slot {key.slot}" if key.slot != "primary" else ""
        mend = f"sisgate keys stage {config.name}{slot}" if by_hand else "See `sisgate audit tail`."
        yield Finding(f"{config.name} key", "warn", f"key {key.id[:8]} ({key.slot}) {words}", mend)
