"""Objectives of service levels, and the calendars by which data must be fresh."""

from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from sisgate.domain.school_time import SchoolTime
from sisgate.settings.fields import Duration, Frozen, Zone

Share = Annotated[float, Field(gt=0, lt=1)]
Limit = Annotated[Duration, Field(gt=timedelta(0))]


class DatasetObjectives(Frozen):
    """What the calls of one dataset, and its data, should be like. None: no objective."""

    availability: Share | None = None
    latency_p95: Limit | None = None
    latency_p99: Limit | None = None
    freshness: Limit | None = None


class ObjectivesConfig(DatasetObjectives):
    """Objectives of a provider, or of all; `datasets` has more for some of them.

    `freshness` is of each dataset that was ever read. Data must be fresh for `fresh_share` of the
    time that `calendar` names, of all time without one.
    """

    fresh_share: Share = 0.99
    calendar: str | None = None
    datasets: dict[str, DatasetObjectives] = Field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there are none."""
        return not self.datasets and not any(
            getattr(self, name) is not None for name in DatasetObjectives.model_fields
        )


def _closed(value: Any) -> Any:
    """Return the days `"2026-11-26"` or `"2026-12-21..2027-01-01"`, from first to last."""
    if isinstance(value, date):  # TOML has days of its own
        return value, value
    if not isinstance(value, str):
        return value
    first, _, last = value.partition("..")
    try:
        days = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise ValueError(
            f'write a day such as "2026-11-26", or days such as "2026-12-21..2027-01-01", not '
            f"{value!r}"
        ) from None
    if days[1] < days[0]:
        raise ValueError(f"{value} ends before it begins")
    return days


class CalendarConfig(Frozen):
    """When a school is open, `[calendars.NAME]`. `days` count from 0, Monday."""

    zone: Zone
    start: time = time(7)
    end: time = time(17)
    days: frozenset[Annotated[int, Field(ge=0, le=6)]] = frozenset(range(5))
    closed: tuple[Annotated[tuple[date, date], BeforeValidator(_closed)], ...] = ()

    @property
    def school_time(self) -> SchoolTime:
        """The same for computing with."""
        return SchoolTime(self.zone, self.start, self.end, self.days, self.closed)


def objective_mistakes(
    objectives: ObjectivesConfig,
    calendars: Mapping[str, CalendarConfig],
    place: tuple[str, ...],
    resources: tuple[str, ...] | None,
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield place and problem of what does not fit the rest; None of `resources`: any may be."""
    if objectives.calendar is not None and objectives.calendar not in calendars:
        known = ", ".join(sorted(calendars)) or "none"
        what = f"no calendar {objectives.calendar!r} is among {known}: write [calendars.NAME]"
        yield (*place, "calendar"), what
    for name in objectives.datasets:
        if resources is not None and name not in resources:
            yield (*place, "datasets", name), f"is not among {', '.join(resources)}"
