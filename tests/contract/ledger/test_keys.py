"""Keys in the ledger: their states, who is used first, what is destroyed, what is counted."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from sisgate.credentials.keys import NewKey, add_key, open_key, stage_key
from sisgate.credentials.master import MasterKey
from sisgate.credentials.usage import UsageCounter, Use
from sisgate.credentials.vault import Vault
from sisgate.domain.secret import Secret
from sisgate.domain.states import KeyState
from sisgate.errors import CredentialError
from sisgate.ledger import keys
from sisgate.ledger.database import Database
from sisgate.ledger.keys import add_usage, lock_slot, suspect, usable_keys, usage_of
from sisgate.ledger.schema import Key
from sisgate.redis.client import connect
from tests.contract.ledger.rows import NOW, at_once

VAULT = Vault([MasterKey(b"k" * 32)])
DAY = timedelta(days=1)
NAME = "lincoln"


def add(session: Session, client_id: str, slot: str = "primary", **words: Any) -> str:
    """Store an active key."""
    new = NewKey(client_id, Secret(f"secret of {client_id}"), words.pop("expires_at", None))
    return add_key(session, VAULT, NAME, new, NOW, slot=slot, **words).id


def usable(database: Database, now: Any = NOW) -> list[str]:
    """The client ids in the order in which calls use them."""
    with database.read() as session:
        return [key.client_id for key in usable_keys(session, NAME, now)]


def test_a_replaced_key_drains_and_its_secret_is_destroyed_at_the_end(database: Database) -> None:
    """It is used after the active one of its slot, until then."""
    with database.write() as session:
        old = add(session, "old")
        add(session, "new", overlap=DAY)
        add(session, "spare", "secondary")
    assert usable(database) == ["new", "old", "spare"]
    with database.write() as session:
        key = session.get_one(Key, old)
        assert (key.state, key.draining_until) == ("draining", NOW + DAY)
        keys.end(key, KeyState.RETIRED, NOW, "over")
    with database.read() as session:
        gone = session.get_one(Key, old)
        assert (gone.state, gone.sealed_secret) == ("retired", b"")
        with pytest.raises(CredentialError):
            open_key(VAULT, gone)
    assert usable(database) == ["new", "spare"]


def test_without_an_overlap_a_replaced_key_is_retired_at_once(database: Database) -> None:
    """As it was before there were rotations."""
    with database.write() as session:
        old = add(session, "old")
        add(session, "new")
        session.flush()
        assert session.get_one(Key, old).state == KeyState.RETIRED
    assert usable(database) == ["new"]


def test_suspect_and_expired_keys_come_last_but_come(database: Database) -> None:
    """Rather a key that may be refused than none."""
    with database.write() as session:
        first = add(session, "first")
        add(session, "second", "secondary", expires_at=NOW + DAY)
        add(session, "third", "backup")
    assert usable(database) == ["first", "second", "third"]
    assert usable(database, NOW + DAY) == ["first", "third", "second"]
    with database.write() as session:
        assert suspect(session, first, "401", NOW)
        assert not suspect(session, first, "401 again", NOW)
    assert usable(database) == ["second", "third", "first"]


def test_many_calls_that_meet_a_refused_key_note_it_once(database: Database) -> None:
    """One of them is the first."""
    with database.write() as session:
        key_id = add(session, "first")

    def note() -> bool:
        with database.write() as session:
            return suspect(session, key_id, "401", NOW)

    assert sorted(at_once(*[note] * 6)) == [False] * 5 + [True]


def test_a_slot_is_held_by_one_at_a_time(database: Database) -> None:
    """Also the first time, when its row is made."""
    order: list[str] = []

    def hold(name: str) -> Callable[[], None]:
        def run() -> None:
            with database.write() as session:
                row = lock_slot(session, NAME, "primary")
                row.order_tries += 1
                order.append(name)

        return run

    assert at_once(*[hold(str(n)) for n in range(6)]) == [None] * 6
    with database.write() as session:
        assert lock_slot(session, NAME, "primary").order_tries == 6


def test_staging_again_takes_the_place_of_the_staged_one(database: Database) -> None:
    """Its secret is destroyed; the active key is left alone."""
    with database.write() as session:
        active = add(session, "active")
        first = stage_key(session, VAULT, NAME, NewKey("a", Secret("a")), NOW)[0].id
        second = stage_key(session, VAULT, NAME, NewKey("b", Secret("b")), NOW, ordered=True)[0].id
    with database.read() as session:
        states = {i: session.get_one(Key, i).state for i in (active, first, second)}
        assert states == {active: "active", first: "revoked", second: "staged"}
        assert session.get_one(Key, first).sealed_secret == b""
    assert usable(database) == ["active"]


def test_a_batch_of_counts_is_added_once(database: Database, redis_url: str) -> None:
    """Whoever dies between adding and dropping it is followed by one who finds it added."""
    counter = UsageCounter(connect(redis_url))
    with database.write() as session:
        key_id = add(session, "first")
    uses = [Use(key_id, 200), Use(key_id, 429), Use(key_id, 500), Use(key_id, None)]
    counter.count([*uses, Use(key_id, 401, refused=True), Use("gone", 200)], NOW)

    def flush(*, drop: bool) -> None:
        batch, counts = counter.take()
        with database.write() as session:
            add_usage(session, batch, counts)
        if drop:
            counter.drop(batch)

    flush(drop=False)
    counter.count([Use(key_id, 401, refused=True)], NOW + DAY)
    flush(drop=True)
    flush(drop=True)
    assert counter.take() == (0, {})
    with database.read() as session:
        used = usage_of(session, NAME)[key_id]
        assert (used.calls, used.errors, used.throttled, used.refused) == (6, 2, 1, 2)
        assert (used.first_refused_at, used.last_refused_at) == (NOW, NOW + DAY)
        assert used.last_used_at == NOW + DAY
