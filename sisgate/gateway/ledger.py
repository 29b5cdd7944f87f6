"""The ledger with its audit log: what apps, workers and the command line open."""

from __future__ import annotations

from sisgate.audit.keys import AuditKey, KeyRing, read_audit_keys
from sisgate.audit.writers import Writers
from sisgate.clock import Clock
from sisgate.credentials.master import master_keys
from sisgate.ledger.database import Database
from sisgate.settings import Settings


def open_ledger(settings: Settings, clock: Clock) -> Database:
    """Return the ledger. The audit keys are read with the first event, and then kept."""
    return with_audit_log(Database(settings.sqlalchemy_url), settings, clock)


def with_audit_log(database: Database, settings: Settings, clock: Clock) -> Database:
    """Return a database whose transactions may hold events."""
    if database.commit_hook is None:
        database.commit_hook = Writers(lambda: audit_keys(settings), clock)
    return database


def audit_keys(settings: Settings) -> KeyRing:
    """Return the audit keys: those of their own file, else one for each master key.

    Raises `CredentialError` where neither can be read.
    """
    if settings.audit_key_file is not None:
        return read_audit_keys(settings.audit_key_file)
    return KeyRing([AuditKey.of_master(master.material) for master in master_keys(settings)])
