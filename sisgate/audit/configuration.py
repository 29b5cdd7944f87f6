"""The effective configuration as fingerprints: the log tells when and where it changed."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy.orm import Session

from sisgate.audit.events import CONFIGURATION_CHANGED
from sisgate.audit.log import record
from sisgate.ledger.audit_schema import AuditConfiguration
from sisgate.settings import Settings

_PLACES = {"data_dir", "config_file", "providers", "apps", "app_name"}
"""Settings that differ from host to host and app to app, and those that are parts of their own."""


def fingerprints(settings: Settings) -> dict[str, str]:
    """Return a fingerprint of each part: `providers.NAME`, `apps`, and `settings` for the rest.

    The parts hold no secrets; the URLs of Redis and database are left out with their passwords.
    """
    texts = {
        f"providers.{name}": config.model_dump_json()
        for name, config in sorted(settings.providers.items())
    }
    texts["apps"] = settings.model_dump_json(include={"apps"})
    texts["settings"] = settings.model_dump_json(exclude=_PLACES)
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}


def note_configuration(session: Session, settings: Settings, role: str, now: datetime) -> None:
    """Record the configuration of a starting process if its role last had another one."""
    parts = fingerprints(settings)
    known = session.get(AuditConfiguration, role)
    before = known.parts if known is not None else {}
    if before == parts:
        return
    session.merge(AuditConfiguration(role=role, parts=parts, changed_at=now))
    changed = sorted(name for name in {*before, *parts} if before.get(name) != parts.get(name))
    record(
        session, now, actor=role, action=CONFIGURATION_CHANGED, subject=role,
        changed=changed, fingerprint=_whole(parts), before=_whole(before) if before else None,
    )  # fmt: skip


def _whole(parts: dict[str, str]) -> str:
    words = ",".join(f"{name}={value}" for name, value in sorted(parts.items()))
    return hashlib.sha256(words.encode()).hexdigest()[:16]
