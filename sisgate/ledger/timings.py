"""How long things took since the first time: sketches in the ledger, which only grow."""

from collections import deque
from collections.abc import Iterator, Mapping

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from sisgate.domain.latencies import LatencySketch
from sisgate.domain.timings import Timed
from sisgate.ledger.schema import TimingSketch
from sisgate.ledger.statements import insert_into

MOST_AT_ONCE = 500

_KEY = (TimingSketch.name, TimingSketch.label)
_SKETCHES = select(*_KEY, TimingSketch.sketch)

Timings = Mapping[tuple[Timed, str], LatencySketch]
"""Sketches by what took the time, and the label that tells them apart."""


class Untold:
    """How long transactions of this process took, until the event of a later one tells it.

    No event can tell how long its own commit took. So the last one of a process is never told.
    """

    def __init__(self) -> None:
        self._ms: deque[float] = deque(maxlen=1000)

    def add(self, seconds: float) -> None:
        """Note how long a transaction took."""
        self._ms.append(round(1000 * seconds, 1))

    def take(self) -> float | None:
        """Return one of the milliseconds noted, for an event; None if all are told."""
        try:
            return self._ms.popleft()
        except IndexError:
            return None


def add(session: Session, timings: Timings) -> None:
    """Add sketches to those that are there. Any number may do so at once."""
    keys = sorted(timings)
    for start in range(0, len(keys), MOST_AT_ONCE):
        some = keys[start : start + MOST_AT_ONCE]
        empty = LatencySketch().encode()
        rows = [{"name": name.value, "label": label, "sketch": empty} for name, label in some]
        session.execute(insert_into(session, TimingSketch).on_conflict_do_nothing(), rows)
        query = _SKETCHES.where(tuple_(*_KEY).in_(some))
        # In one order, so that no two wait for each other.
        locked = session.execute(query.order_by(*_KEY).with_for_update()).all()
        merged = []
        for name, label, sketch in locked:
            whole = LatencySketch.decode(sketch)
            whole.merge(timings[Timed(name), label])
            merged.append({"name": name, "label": label, "sketch": whole.encode()})
        session.execute(update(TimingSketch), merged)


def ever(session: Session) -> Iterator[tuple[Timed, str, LatencySketch]]:
    """Yield all that was ever added."""
    for name, label, sketch in session.execute(_SKETCHES):
        yield Timed(name), label, LatencySketch.decode(sketch)
