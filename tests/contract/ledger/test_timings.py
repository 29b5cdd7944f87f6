"""Timings only grow, whoever adds to them at once."""

from sisgate.domain.latencies import LatencySketch
from sisgate.domain.timings import Timed
from sisgate.ledger import timings
from sisgate.ledger.database import Database
from sisgate.ledger.timings import Untold
from tests.contract.ledger.rows import at_once


def test_no_sample_is_lost_where_many_add_at_once(database: Database) -> None:
    """Also the first ones of a row that is not there yet."""
    keys = [(Timed.WEBHOOK, label) for label in ("delivered", "failed")]

    def add() -> None:
        for _ in range(5):
            with database.write() as session:
                timings.add(session, {key: LatencySketch([10.0]) for key in keys})

    at_once(*[add] * 4)
    with database.read() as session:
        found = {(name, label): sketch for name, label, sketch in timings.ever(session)}
    assert {key: sketch.count for key, sketch in found.items()} == dict.fromkeys(keys, 20)
    assert {sketch.sum_ms for sketch in found.values()} == {200.0}


def test_thousands_are_added_at_once(database: Database) -> None:
    """A slot of many providers."""
    many = {(Timed.ACCEPTED, f"p{number}"): LatencySketch([1.0]) for number in range(1200)}
    for _ in range(2):
        with database.write() as session:
            timings.add(session, many)
    with database.read() as session:
        assert sum(sketch.count for _, _, sketch in timings.ever(session)) == 2400


def test_each_transaction_is_told_once() -> None:
    """By the next one; the last one of a process is not."""
    untold = Untold()
    assert untold.take() is None
    untold.add(0.0123)
    untold.add(1)
    assert [untold.take() for _ in range(3)] == [12.3, 1000.0, None]
