"""A ledger that needs a key which is not here, on each kind of database."""

from pathlib import Path

import pytest

from sisgate.audit import log as audit
from sisgate.clock import SystemClock
from sisgate.context import audit_keys, with_audit_log
from sisgate.credentials.keys import NewKey, add_key
from sisgate.credentials.master import MasterKey, make_master_key, master_keys
from sisgate.credentials.vault import vault_of
from sisgate.domain.secret import Secret
from sisgate.gateway.missing_keys import GIVEN_UP, missing_keys
from sisgate.ledger.database import Database
from sisgate.settings import Settings
from tests.contract.ledger.rows import NOW


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With a master key in its file."""
    made = Settings(data_dir=tmp_path)
    make_master_key(made.master_key_path)
    return made


def note(database: Database, settings: Settings, action: str, subject: str) -> None:
    """Write an event as a process with the keys at hand does."""
    database.commit_hook = None
    with with_audit_log(database, settings, SystemClock()).write() as session:
        audit.record(session, NOW, actor="ana", action=action, subject=subject)


def lose(settings: Settings) -> MasterKey:
    """Take the file away and return the key that was in it."""
    (key,) = master_keys(settings)
    settings.master_key_path.unlink()
    return key


def test_what_a_lost_master_key_has_sealed_is_told(database: Database, settings: Settings) -> None:
    """Without a key and with another one; not with the right one, and not in an empty ledger."""
    database.commit_hook = None
    with_audit_log(database, settings, SystemClock())
    assert missing_keys(settings, database).error is None
    with database.write() as session:
        add_key(session, vault_of(settings), "lincoln", NewKey("41", Secret("plain")), NOW)
    assert missing_keys(settings, database).error is None

    lost = lose(settings)
    for _ in range(2):
        missing = missing_keys(settings, database)
        assert missing.masters == {lost.id.hex(): {"keys.sealed_secret": 1}}
        assert lost.id.hex() in str(missing.error)
        make_master_key(settings.master_key_path)


def test_the_key_of_the_audit_log_is_missed_as_well(database: Database, settings: Settings) -> None:
    """A ledger that holds nothing but events is in use."""
    note(database, settings, "limits:provider:pause", "lincoln")
    audit_key = audit_keys(settings).newest.id.hex()
    assert missing_keys(settings, database).error is None
    lose(settings)
    assert missing_keys(settings, database).ids == [audit_key]


def test_what_was_given_up_is_missed_no_more(database: Database, settings: Settings) -> None:
    """Only the key that was named."""
    database.commit_hook = None
    with_audit_log(database, settings, SystemClock())
    with database.write() as session:
        add_key(session, vault_of(settings), "lincoln", NewKey("41", Secret("plain")), NOW)
    first = lose(settings)
    make_master_key(settings.master_key_path)
    with database.write() as session:
        add_key(session, vault_of(settings), "roosevelt", NewKey("42", Secret("plain")), NOW)
    second = lose(settings)
    make_master_key(settings.master_key_path)
    note(database, settings, GIVEN_UP, first.id.hex())
    assert list(missing_keys(settings, database).masters) == [second.id.hex()]
