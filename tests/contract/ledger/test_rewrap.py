"""Moving everything that is sealed to the newest master key, on each kind of database."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from sisgate.credentials.keys import NewKey, add_key, open_key
from sisgate.credentials.master import MasterKey
from sisgate.credentials.sealed import BATCH, SEALED, rewrap, uses
from sisgate.credentials.vault import Vault
from sisgate.domain.secret import Secret
from sisgate.errors import CredentialError
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Base, Key, Response
from tests.contract.ledger.rows import NOW, accepted
from tests.unit.credentials.test_vault import in_first_format

OLD, NEW = MasterKey(b"o" * 32), MasterKey(b"n" * 32)
KEYS = BATCH + 30


@pytest.fixture
def sealed(database: Database) -> Database:
    """Keys in both formats and an answer, all under the old master key."""
    vault = Vault([OLD])
    with database.write() as session:
        for number in range(KEYS):
            new = NewKey(f"id{number}", Secret(f"plain{number}"))
            key = add_key(session, vault, f"p{number}", new, NOW)
            if number % 2:
                key.sealed_secret = in_first_format(OLD, b"plain%d" % number, f"keys/{key.id}")
        job = accepted(session)
        body = vault.seal(b"body", f"responses/{job.id}")
        session.add(
            Response(
                job_id=job.id,
                status=200,
                headers={},
                sealed_body=body,
                truncated=False,
                delete_after=NOW + timedelta(days=1),
            )
        )
    return database


def test_everything_moves_and_still_opens(sealed: Database) -> None:
    """With progress by the batch; then the old master key has sealed nothing."""
    assert uses(sealed) == {OLD.id.hex(): {"keys.sealed_secret": KEYS, "responses.sealed_body": 1}}
    steps = list(rewrap(sealed, Vault([NEW, OLD]), None))
    assert [(s.name, s.moved, s.total) for s in steps] == [
        ("keys.sealed_secret", BATCH, KEYS),
        ("keys.sealed_secret", KEYS, KEYS),
        ("responses.sealed_body", 1, 1),
    ]
    assert set(uses(sealed)) == {NEW.id.hex()}
    with sealed.read() as session:
        plain = {open_key(Vault([NEW]), k).secret.get_secret_value() for k in session.query(Key)}
    assert plain == {f"plain{number}" for number in range(KEYS)}


def test_an_interrupted_one_goes_on(sealed: Database) -> None:
    """What was moved is not moved again."""
    vault = Vault([NEW, OLD])
    next(rewrap(sealed, vault, None))
    with sealed.read() as session:
        moved = {
            key.id: key.sealed_secret
            for key in session.query(Key)
            if key.sealed_secret[:9] == vault.newest_header
        }
    assert len(moved) == BATCH
    list(rewrap(sealed, vault, None))
    assert set(uses(sealed)) == {NEW.id.hex()}
    with sealed.read() as session:
        for key_id, before in moved.items():
            assert session.get_one(Key, key_id).sealed_secret == before
    assert list(rewrap(sealed, vault, None)) == []


def test_what_does_not_open_is_told_and_left(sealed: Database) -> None:
    """The others move all the same."""
    with sealed.write() as session:
        key = session.scalars(select(Key).limit(1)).one()
        key.sealed_secret = b"\x02" + b"missing!" + key.sealed_secret
        lost = key.id
    last = [s for s in rewrap(sealed, Vault([NEW, OLD]), None) if s.name.startswith("keys")][-1]
    assert (last.moved, last.unopened) == (KEYS - 1, (f"keys/{lost}",))
    assert uses(sealed)[b"missing!".hex()] == {"keys.sealed_secret": 1}


def test_secrets_cannot_be_swapped_between_rows(database: Database) -> None:
    """Nor may a key be given to another provider, whose token endpoint would be sent its secret."""
    vault = Vault([NEW])
    with database.write() as session:
        first = add_key(session, vault, "lincoln", NewKey("41", Secret("lincoln's")), NOW)
        second = add_key(session, vault, "madison", NewKey("42", Secret("madison's")), NOW)
        first.sealed_secret, second.sealed_secret = second.sealed_secret, first.sealed_secret
        for key in (first, second):
            with pytest.raises(CredentialError, match="changed or moved"):
                open_key(vault, key)
        first.sealed_secret, second.sealed_secret = second.sealed_secret, first.sealed_secret
        first.provider = "madison"
        with pytest.raises(CredentialError, match="changed or moved"):
            open_key(vault, first)


def test_every_sealed_column_is_known_to_rewrap() -> None:
    """Or its master key would be forgotten while it is in use."""
    columns = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.name.startswith("sealed_")
    }
    assert columns == {sealed.name for sealed in SEALED}
