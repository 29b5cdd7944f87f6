"""Whatever is done to the log by somebody without its keys is found."""

import random
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from sisgate.audit.findings import IssueKind
from testbed.audit_book import Book
from testbed.audit_mutations import EVENTS, MUTATIONS, SEALS, Scene, cut_off

EACH = 15


def test_a_log_that_nobody_touched_is_whole(full_book: Book) -> None:
    """Also while its end waits to be sealed."""
    verdict = full_book.verify()
    assert verdict.findings == []
    assert (verdict.seals, verdict.events, verdict.unsealed, verdict.heads) == (6, 84, 12, 6)
    with full_book.tampering() as session:
        assert full_book.verify(session).is_whole


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_a_mutation_is_found(full_book: Book, mutate: Callable[[Scene], str]) -> None:
    """Each of many of its kind."""
    for seed in range(EACH):
        with full_book.tampering() as session:
            what = mutate(Scene(session, random.Random(seed)))
            verdict = full_book.verify(session)
            assert not verdict.is_whole, f"{mutate.__name__} {what} (seed {seed})"
    assert full_book.verify().is_whole


def test_a_finding_names_the_place(full_book: Book) -> None:
    """So that somebody can look there."""
    with full_book.tampering() as session:
        scene = Scene(session, random.Random(1))
        row = scene.rows(EVENTS)[5]
        scene.change(EVENTS, row, actor="nobody")
        (changed,) = full_book.verify(session).findings
    assert (changed.kind, changed.place) == (IssueKind.CHANGED, f"{row['writer']}/{row['number']}")
    with full_book.tampering() as session:
        Scene(session, random.Random(1)).delete(EVENTS, row)
        (deleted,) = full_book.verify(session).findings
    assert (deleted.kind, deleted.place) == (IssueKind.DELETED, f"{row['writer']}/{row['number']}")
    with full_book.tampering() as session:
        scene = Scene(session, random.Random(1))
        scene.delete(SEALS, scene.rows(SEALS)[2])
        assert IssueKind.SEAL_DELETED in full_book.verify(session).counts


def test_without_heads_a_log_whose_end_is_cut_off_looks_whole(full_book: Book) -> None:
    """Which is why they are kept outside."""
    with full_book.tampering() as session:
        cut_off(Scene(session, random.Random(3)))
        assert full_book.verify(session, with_heads=False).is_whole
        assert IssueKind.TRUNCATED in full_book.verify(session).counts


def test_an_unsealed_event_that_is_taken_away_is_missed_at_the_writers_next(book: Book) -> None:
    """The documented limit: until the writer writes again, nothing tells of it."""
    book.write(3)
    book.seal()
    book.write(2)
    with book.tampering() as session:
        session.execute(text("DELETE FROM audit_events WHERE number = 5"))
        assert book.verify(session).is_whole
    book.write(1)
    with book.tampering() as session:
        session.execute(text("DELETE FROM audit_events WHERE number = 5"))
        assert IssueKind.DELETED in book.verify(session).counts


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET actor = 'nobody'",
        "DELETE FROM audit_events",
        "UPDATE audit_seals SET total = 0",
        "DELETE FROM audit_seals WHERE number = 1",
    ],
)
def test_the_database_refuses_to_change_the_log(full_book: Book, statement: str) -> None:
    """Mistakes do not get as far as being found."""
    with (
        pytest.raises(DBAPIError, match="the audit log is only added to"),
        full_book.database.write() as session,
    ):
        session.execute(text(statement))
    assert full_book.verify().is_whole
