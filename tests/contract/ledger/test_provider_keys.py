"""What a person does with keys, through the gateway, on each kind of database."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sisgate.cli.commands.keys import canary_failure
from sisgate.cli.formats import moment
from sisgate.credentials.keys import open_key
from sisgate.credentials.master import make_master_key
from sisgate.credentials.vault import vault_of
from sisgate.domain.secret import Secret
from sisgate.domain.states import KeyState
from sisgate.errors import InvalidState, UsageError
from sisgate.gateway import Gateway
from sisgate.gateway.keys import ProviderKeys
from sisgate.ledger import audit_log
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Key
from sisgate.settings import Endpoint, ProviderConfig, Settings

NAME = "lincoln"


@pytest.fixture
def keys(database: Database, tmp_path: Path) -> ProviderKeys:
    """The keys of a provider, with one active; no Redis is needed for them."""
    endpoint = Endpoint(url="https://lincoln.example")
    config = ProviderConfig(name=NAME, kind="powerschool", endpoints=(endpoint,))
    settings = Settings(
        data_dir=tmp_path, broker_url=SecretStr("redis://127.0.0.1:9/0"), providers={NAME: config}
    )
    make_master_key(settings.master_key_path)
    found = Gateway(settings, database=database).keys.of(NAME)
    found.add("old", Secret("old"), actor="test")
    return found


def states(keys: ProviderKeys) -> dict[str, str]:
    """The state of each key that has not ended."""
    return {key.client_id: key.state.value for key in keys.list()}


def test_promote_and_rollback_change_places(keys: ProviderKeys) -> None:
    """The one before drains, and comes back."""
    staged = keys.stage("new", Secret("new"), actor="test")
    assert states(keys) == {"new": "staged", "old": "active"}
    keys.promote(staged.id[:8], actor="test")
    assert states(keys) == {"new": "active", "old": "draining"}
    assert keys.rollback(actor="test").client_id == "old"
    assert states(keys) == {"new": "draining", "old": "active"}


@pytest.mark.parametrize("kind", [str, SecretStr, Secret])
def test_a_secret_may_be_a_plain_string(
    keys: ProviderKeys, database: Database, tmp_path: Path, kind: Callable[[str], Any]
) -> None:
    """Or either of the types that hide it."""
    added = keys.add("new", kind("of the new one"), actor="test")
    vault = vault_of(Settings(data_dir=tmp_path))
    with database.read() as session:
        opened = open_key(vault, session.get_one(Key, added.id))
    assert opened.secret == Secret("of the new one")
    assert keys.stage("next", kind("of the next one"), actor="test").state is KeyState.STAGED


def test_the_audit_log_tells_which_key_a_change_is_about(
    keys: ProviderKeys, database: Database
) -> None:
    """Also where the change is what makes the key, or finds it."""
    (old,) = keys.list()
    new = keys.add("new", Secret("new"), actor="ana")
    keys.rollback(actor="ana")
    with database.read() as session:
        events = list(reversed(audit_log.tail(session, audit_log.AuditFilter(action="keys:"))))
    told = [(event.action, (event.detail or {})["key"]) for event in events]
    assert told == [
        ("keys:slot:add", old.id),
        ("keys:slot:add", new.id),
        ("keys:slot:rollback", old.id),
    ]


def test_rollback_takes_a_coming_key_away_first(keys: ProviderKeys) -> None:
    """Then there is nothing more to go back to."""
    keys.stage("new", Secret("new"), actor="test")
    assert keys.rollback(actor="test").client_id == "old"
    assert states(keys) == {"old": "active"}
    with pytest.raises(InvalidState, match="nothing to undo"):
        keys.rollback(actor="test")


def test_a_staged_key_that_has_to_go_is_told(keys: ProviderKeys) -> None:
    """By the one staged in its place, and by a rollback."""
    first = keys.stage("first", Secret("new"), actor="test")
    second = keys.stage("second", Secret("new"), actor="test")
    assert (first.destroyed, second.destroyed) == ([], [first.id])
    assert keys.rollback(actor="test").destroyed == [second.id]


def test_a_canary_that_failed_is_told(keys: ProviderKeys, database: Database) -> None:
    """When, why, and when it is tried again; of no key that merely waits."""
    staged = keys.stage("new", Secret("new"), actor="test")
    assert (staged.canary_failed_at, canary_failure(staged)) == (None, None)
    with database.write() as session:
        key = session.get_one(Key, staged.id)
        key.updated_at, key.reason = staged.created_at, "lincoln refused our key."
        key.next_probe_at = staged.created_at + timedelta(minutes=5)
    failed, active = keys.list()
    assert active.canary_failed_at is None
    assert failed.canary_failed_at == staged.created_at
    words = canary_failure(failed)
    assert words is not None
    assert f"its canary failed at {moment(failed.canary_failed_at)}: lincoln refused our" in words
    assert f"The next canary runs at {moment(failed.next_probe_at)}." in words


def test_revoke_destroys_and_cannot_be_repeated(keys: ProviderKeys) -> None:
    """Redis, which may be down, is not needed for it."""
    (key,) = keys.list()
    assert keys.revoke(key.id, actor="test", reason="leaked").reason == "leaked"
    assert states(keys) == {}
    with pytest.raises(InvalidState, match="already revoked"):
        keys.revoke(key.id, actor="test")
    with pytest.raises(InvalidState, match="cannot be promoted"):
        keys.promote(key.id, actor="test")


def test_rotate_needs_a_new_key(keys: ProviderKeys) -> None:
    """A staged one, as this provider has no source."""
    with pytest.raises(InvalidState, match="sisgate keys stage"):
        keys.rotate(actor="test")
    keys.stage("new", Secret("new"), actor="test")
    keys.rotate(actor="test")


def test_mistakes_are_told(keys: ProviderKeys) -> None:
    """With where to look."""
    with pytest.raises(UsageError, match="keys list"):
        keys.revoke("nope", actor="test")
    with pytest.raises(UsageError, match="keys list"):
        keys.revoke("", actor="test")
    with pytest.raises(UsageError, match="slot is one of"):
        keys.rotate(slot="fourth", actor="test")
