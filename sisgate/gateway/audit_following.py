"""Follows the audit log, for `sisgate audit tail --follow`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sisgate.ledger.audit_log import AuditFilter
from sisgate.ledger.schema import AuditEvent

OVERLAP = timedelta(seconds=30)
"""How far before the newest event others may still appear, from long transactions."""

Search = Callable[[AuditFilter], Iterable[AuditEvent]]


class Following:
    """Yields each matching event once, in order of appearance.

    `seen` are the newest events so far; without any, `now` is the start.
    """

    def __init__(
        self, search: Search, query: AuditFilter, seen: Sequence[AuditEvent], now: datetime
    ) -> None:
        self._search = search
        self._query = query
        self._newest = max((event.at for event in seen), default=now)
        # Older events are not new, even if they were not shown.
        older = (event for event in self._around() if event.at <= self._newest)
        self._known = {_place(event): event.at for event in (*older, *seen)}

    def new(self) -> Iterator[AuditEvent]:
        """Yield the events since the last call."""
        for event in self._around():
            if _place(event) not in self._known:
                self._known[_place(event)] = event.at
                yield event
        self._newest = max(self._known.values(), default=self._newest)
        begin = self._newest - OVERLAP
        self._known = {place: at for place, at in self._known.items() if at >= begin}

    def _around(self) -> Iterable[AuditEvent]:
        return self._search(replace(self._query, since=self._newest - OVERLAP))


def _place(event: AuditEvent) -> tuple[int, int]:
    return event.writer, event.number
