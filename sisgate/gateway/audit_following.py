"""What is new in the audit log since a look before: for `sisgate audit tail --follow`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sisgate.ledger.audit_log import Filter
from sisgate.ledger.schema import AuditEvent

OVERLAP = timedelta(seconds=30)
"""How much earlier than what was seen last an event may still appear: its transaction was long."""

Look = Callable[[Filter], Iterable[AuditEvent]]


class Following:
    """Yields each event that fits once, in the order in which it appears.

    `seen` are the newest events, as they were shown; `now` stands in where there is none.
    """

    def __init__(
        self, look: Look, wanted: Filter, seen: Sequence[AuditEvent], now: datetime
    ) -> None:
        self._look = look
        self._wanted = wanted
        self._newest = max((event.at for event in seen), default=now)
        # What is older than the last one shown was there before, whether it was shown or not.
        older = (event for event in self._around() if event.at <= self._newest)
        self._known = {_place(event): event.at for event in (*older, *seen)}

    def new(self) -> Iterator[AuditEvent]:
        """Look once more."""
        for event in self._around():
            if _place(event) not in self._known:
                self._known[_place(event)] = event.at
                yield event
        self._newest = max(self._known.values(), default=self._newest)
        begin = self._newest - OVERLAP
        self._known = {place: at for place, at in self._known.items() if at >= begin}

    def _around(self) -> Iterable[AuditEvent]:
        return self._look(replace(self._wanted, since=self._newest - OVERLAP))


def _place(event: AuditEvent) -> tuple[int, int]:
    return event.writer, event.number
