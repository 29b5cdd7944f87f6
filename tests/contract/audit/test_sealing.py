"""Writers number without a gap, and sealers link what is new, whoever comes first."""

import threading
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from sisgate.audit import sealer, verification
from sisgate.audit.keys import AuditKey, KeyRing
from sisgate.audit.log import record
from sisgate.audit.writers import LIFETIME
from sisgate.errors import CredentialError
from sisgate.ledger.schema import AuditEvent
from testbed.audit_book import KEYS, Book
from tests.contract.ledger.rows import at_once


def numbers(book: Book) -> dict[int, list[int]]:
    """Return the numbers of each writer, in order."""
    found: dict[int, list[int]] = defaultdict(list)
    with book.database.read() as session:
        for event in session.scalars(select(AuditEvent).order_by(AuditEvent.number)):
            found[event.writer].append(event.number)
    return dict(found)


def test_threads_that_write_at_once_leave_no_gap(book: Book) -> None:
    """Each writer counts from 1; a commit that fails ends its writer and leaves nothing."""
    book.database.commit_hook = book.writers[0]

    def work(number: int) -> None:
        for turn in range(6):
            try:
                with book.database.write() as session:
                    record(
                        session, book.clock.now(), actor="a", action="t:e:st", subject=f"{number}"
                    )
                    if turn == 3:
                        raise LookupError
            except LookupError:
                continue

    at_once(*(lambda n=n: work(n) for n in range(4)))
    found = numbers(book)
    assert sum(len(each) for each in found.values()) == 20
    assert all(each == list(range(1, len(each) + 1)) for each in found.values())
    book.seal()
    assert book.verify().findings == []


def test_a_writer_takes_no_new_events_after_its_lifetime(book: Book) -> None:
    """So that a sealer need not look at old ones for ever."""
    book.write()
    book.clock.advance(LIFETIME.total_seconds())
    book.write()
    assert [len(each) for each in numbers(book).values()] == [1, 1]


def test_without_a_key_nothing_is_done(book: Book) -> None:
    """No audit, no action."""

    def no_keys() -> KeyRing:
        raise CredentialError("There is no master key.")

    book.writers[0]._read_keys = no_keys
    with pytest.raises(CredentialError):
        book.write()
    assert numbers(book) == {}


def test_of_sealers_that_come_at_once_one_makes_the_seal(book: Book) -> None:
    """The others leave no trace, and the chain goes on."""
    book.write(5)
    made: list[Any] = at_once(*[lambda: sealer.seal(book.database, KEYS, book.clock)] * 4)
    assert not [each for each in made if isinstance(each, Exception)]
    assert [each.number for each in made if each is not None] == [1]
    assert sealer.seal(book.database, KEYS, book.clock) is None
    book.write(2)
    second = sealer.seal(book.database, KEYS, book.clock)
    assert second is not None
    assert (second.number, second.events, second.total) == (2, 2, 7)
    assert book.verify().findings == []


def test_a_seal_is_made_when_nothing_happened_if_asked_closely(book: Book) -> None:
    """So that a head is kept outside even of a quiet night."""
    book.write()
    book.seal()
    assert book.seal() is None
    quiet = book.seal(closely=True)
    assert quiet is not None
    assert (quiet.number, quiet.events, quiet.total) == (2, 0, 1)
    assert book.verify().findings == []


def test_a_transaction_that_is_open_while_others_are_sealed_is_sealed_later(book: Book) -> None:
    """It becomes visible after the seal that came meanwhile, and nothing is passed over."""
    if book.database.is_sqlite:
        book.write(1, writer=1)  # one writer at a time: there it cannot happen
        book.seal()
    else:
        open_, done = threading.Event(), threading.Event()
        book.database.commit_hook = book.writers[0]

        def slow() -> None:
            with book.database.write() as session:
                record(session, book.clock.now(), actor="a", action="t:e:st", subject="slow")
                session.info[sealer_hook()].before_commit(session)
                open_.set()
                assert done.wait(30)

        thread = threading.Thread(target=slow)
        thread.start()
        assert open_.wait(30)
        book.write(2, writer=1)
        assert book.seal() is not None
        done.set()
        thread.join()
        assert book.seal() is not None
    verdict = book.verify()
    assert (verdict.findings, verdict.unsealed) == ([], 0)


def sealer_hook() -> str:
    """Where a session keeps the hook of its database."""
    from sisgate.ledger.database import COMMIT_HOOK

    return COMMIT_HOOK


def test_a_new_key_goes_on_with_the_chain_and_an_unknown_one_is_told(book: Book) -> None:
    """What the old key made is verified with it, for as long as it is there."""
    book.write(2)
    book.seal()
    new = AuditKey(b"n" * 32)
    both = KeyRing([new, *KEYS.keys])
    book.writers[0]._keys = both
    book.write(2)
    assert sealer.seal(book.database, both, book.clock) is not None
    with book.database.snapshot() as session:
        assert verification.verify(session, both, now=book.clock.now()).is_whole
        only_new = verification.verify(session, KeyRing([new]), now=book.clock.now())
    assert {kind.value for kind in only_new.counts} == {"unknown key"}


def test_events_of_before_the_chain_are_verified_after_a_new_key(book: Book) -> None:
    """They have no MAC: what binds them is the seal, and the key that made it."""
    book.write()
    with book.database.write() as session:
        session.execute(
            text(
                "INSERT INTO audit_events (writer, number, at, actor, action, subject, mac)"
                " SELECT 0, 1, at, actor, action, subject, :none FROM audit_events"
            ),
            {"none": b""},
        )
    book.seal()
    both = KeyRing([AuditKey(b"n" * 32), *KEYS.keys])
    with book.database.snapshot() as session:
        assert verification.verify(session, both, now=book.clock.now()).findings == []


def test_a_sealer_whose_clock_was_ahead_leads_nobody_to_seal_twice(book: Book) -> None:
    """It forgets notes too early, and the next one looks back as far as its own clock says."""
    book.write(2, writer=1)
    book.seal()
    book.clock.advance(timedelta(hours=30).total_seconds())
    book.write(1)
    book.seal(closely=True)
    for ahead in (timedelta(days=2), timedelta(days=-2)):
        book.clock.advance(ahead.total_seconds())
        book.seal(closely=True)
    verdict = book.verify()
    assert (verdict.findings, verdict.events) == ([], 3)


def test_what_is_new_is_not_passed_over_by_a_sealer_whose_clock_was_ahead(book: Book) -> None:
    """Until the clocks are where that seal is, an event is younger than it by them."""
    book.write()
    book.clock.advance(3600)
    book.seal()
    book.clock.advance(-3600)
    book.write()
    verdict = book.verify()
    assert (verdict.findings, verdict.unsealed) == ([], 1)
