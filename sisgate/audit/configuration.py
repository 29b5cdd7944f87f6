"""The effective configuration as fingerprints: the log shows when and where it changed."""

import hashlib
from datetime import datetime

from sqlalchemy.orm import Session

from sisgate.audit.events import CONFIGURATION_CHANGED
from sisgate.audit.log import record
from sisgate.configuration import FleetConfiguration
from sisgate.configuration.parts import OF_THE_MACHINE
from sisgate.ledger.schema import AuditConfiguration
from sisgate.ledger.statements import lock_or_make
from sisgate.settings import Settings
from sisgate.settings.fleet import FleetSettings

_PLACES = {
    "data_dir", "config_file", "broker_url", "broker_ca_file",
    "broker_client_cert", "broker_client_key", "database_url", "master_key_file", "audit_key_file",
    "master_key", "token", "app_name", "providers", "apps", "schedules",
}  # fmt: skip
"""Settings that differ between processes of one fleet, and those that are parts themselves.

A process that learns from its environment where things are has the same configuration as one that
finds them in the data folder.
"""


def fingerprints(settings: Settings, fleet: FleetSettings, version: int = 0) -> dict[str, str]:
    """Return fingerprints: of each `providers.NAME`, of `apps`, `schedules` and other `settings`.

    Where the fleet follows a version of the ledger, that stands for the fleet-wide ones.

    The parts hold no secrets, and not where things are.
    """
    if version:
        own = settings.model_dump_json(exclude=_PLACES | set(FleetSettings.model_fields))
        return {"version": str(version), "settings": _digest(own)}
    texts = {
        f"providers.{name}": config.model_dump_json(exclude=OF_THE_MACHINE)
        for name, config in sorted(fleet.providers.items())
    }
    texts |= {name: fleet.model_dump_json(include={name}) for name in ("apps", "schedules")}
    texts["settings"] = settings.model_dump_json(exclude=_PLACES)
    return {name: _digest(text) for name, text in texts.items()}


def note_configuration(
    session: Session, settings: Settings, fleet: FleetConfiguration, role: str, now: datetime
) -> None:
    """Record the configuration of a starting process if its role last had another one.

    Of several that start at once, one records it; the others wait for it if they differ.
    """
    parts = fingerprints(settings, fleet, fleet.version)
    known = session.get(AuditConfiguration, role)
    if known is not None and known.parts == parts:
        return
    locked = lock_or_make(session, AuditConfiguration, role=role, parts={}, changed_at=now)
    before = locked.parts
    if before == parts:
        return
    locked.parts, locked.changed_at = parts, now
    changed = sorted(name for name in {*before, *parts} if before.get(name) != parts.get(name))
    record(
        session, now, actor=role, action=CONFIGURATION_CHANGED, subject=role,
        changed=changed, fingerprint=_whole(parts), before=_whole(before) if before else None,
    )  # fmt: skip


def _whole(parts: dict[str, str]) -> str:
    text = ",".join(f"{name}={value}" for name, value in sorted(parts.items()))
    return _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
