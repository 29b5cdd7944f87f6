"""Datasets that were not read when their schedules say, for alerts."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from sisgate.alerts.facts import MissedSync
from sisgate.domain.recurrence import Occurrences, offset_in
from sisgate.gateway.core import Core
from sisgate.ledger import datasets
from sisgate.ledger.job_search import app_of
from sisgate.settings.fleet import ScheduleConfig

Missed = Mapping[str, Mapping[str, MissedSync]]
"""By provider and dataset."""

READ_EVERY = timedelta(minutes=1)
"""How often the ledger is asked: nothing is missed by the second, and there may be many."""


class MissedSyncs:
    """Reads what was missed, for some time at least.

    A dataset that was never read is missed once the schedule has tried to: it may be new.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._read: dict[timedelta, tuple[datetime, Missed]] = {}

    def of(self, least: timedelta) -> Missed:
        """Return what was due for so long at least, and is not being read either."""
        now = self._core.clock.now()
        at, missed = self._read.get(least, (None, {}))
        if at is None or not at <= now < at + READ_EVERY:
            missed = self._missed(now - least)
            self._read[least] = now, missed
        return missed

    def _missed(self, until: datetime) -> Missed:
        current = self._core.configuration.current()
        found: defaultdict[str, dict[str, MissedSync]] = defaultdict(dict)
        with self._core.database.read() as session:
            for name, schedule in current.schedules.items():
                starts = _starts(name, schedule, schedule.providers_among(current.providers), until)
                if not starts:
                    continue
                run_before = schedule.recurrence.last(
                    min(starts.values()) - schedule.window - READ_EVERY
                )
                late = [
                    *datasets.read_before(session, max(starts.values())),
                    *datasets.never_read(session, app_of(name), run_before, until),
                ]
                for provider, resource, synced_at in late:
                    due = starts.get(provider)
                    is_meant = not schedule.resources or resource in schedule.resources
                    if due is not None and is_meant and (synced_at is None or synced_at < due):
                        missed = MissedSync(name, due, synced_at)
                        found[provider].setdefault(resource, missed)
            for provider, resource in datasets.being_synced(session) if found else ():
                found[provider].pop(resource, None)
        return {provider: missed for provider, missed in found.items() if missed}


def _starts(
    name: str, schedule: ScheduleConfig, providers: list[str], until: datetime
) -> dict[str, datetime]:
    """Return the newest start of each provider that is not after a time."""
    times = Occurrences(schedule.recurrence, until, schedule.window)
    found = {}
    for provider in providers:
        offset = offset_in(schedule.window, name, provider)
        found[provider] = times.last(offset) + offset
    return found
