"""When the datasets of a large fleet were read, which a process finds out once and then follows."""

import threading
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sisgate.domain.service_levels import ReadTimes
from sisgate.ledger import datasets

LATE = timedelta(seconds=10)
"""A read that ended is visible after so long: its transaction has been committed."""


class DatasetReads:
    """When each dataset was read, with all pauses of `apart` and longer. Thread-safe.

    The first look goes through all jobs, which takes a second for a million; others see what is
    new.
    """

    def __init__(self, apart: timedelta) -> None:
        self._apart = apart
        self._known: dict[tuple[str, str], ReadTimes] = {}
        self._seen_to: datetime | None = None
        self._looking = threading.Lock()

    def before(self, session: Session, now: datetime) -> dict[tuple[str, str], ReadTimes]:
        """Return the reads before now, but for those of the last seconds, by their names."""
        with self._looking:
            until = now - LATE
            new = datasets.read_times(session, until, self._apart, since=self._seen_to)
            for name, read in new.items():
                known = self._known.get(name)
                self._known[name] = known.followed_by(read, self._apart) if known else read
            self._seen_to = until
            return dict(self._known)
