"""When which datasets are synced by themselves: `[schedules.NAME]`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from sisgate.domain.rhythms import Rhythm, checked_cron
from sisgate.settings.frozen import Frozen
from sisgate.settings.zones import Zone

if TYPE_CHECKING:
    from sisgate.settings.provider import ProviderConfig


class ScheduleConfig(Frozen):
    """When which datasets of a provider are synced; `sisgate.gateway.schedules` tells how.

    No `resources` are all that the provider has. A slot that was missed by more than `catch_up`,
    because nothing ran, is passed over.
    """

    provider: str
    resources: tuple[str, ...] = ()
    cron: Annotated[str, AfterValidator(checked_cron)] | None = None
    every: Annotated[timedelta, Field(ge=timedelta(minutes=1))] | None = None
    zone: Zone = "UTC"
    mode: Literal["auto", "full", "incremental"] = "auto"
    priority: Literal["urgent", "high", "normal", "low"] = "low"
    catch_up: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(hours=1)

    @model_validator(mode="after")
    def _has_one_rhythm(self) -> ScheduleConfig:
        if (self.cron is None) == (self.every is None):
            raise ValueError('write either cron = "0 2 * * 1-5" or every = "PT15M"')
        return self

    @property
    def rhythm(self) -> Rhythm:
        """When it is due."""
        return Rhythm(self.cron, self.every, self.zone)


def mistakes(
    schedules: Mapping[str, ScheduleConfig],
    providers: Mapping[str, ProviderConfig],
    jobs_kept: timedelta | None,
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the place and the words of each schedule that does not fit the rest of the file."""
    for name, schedule in schedules.items():
        place = ("schedules", name)
        config = providers.get(schedule.provider)
        if config is None:
            known = ", ".join(sorted(providers)) or "none"
            yield (*place, "provider"), f"no provider {schedule.provider!r} is among {known}"
        elif unknown := set(schedule.resources) - set(config.dialect_class.resources):
            offered = ", ".join(config.dialect_class.resources)
            yield (*place, "resources"), f"{', '.join(sorted(unknown))} is not among {offered}"
        # A slot that has run is known by its job: one that was deleted would be run once more.
        if jobs_kept is not None and schedule.catch_up > jobs_kept:
            yield (*place, "catch_up"), "must be at most retention.jobs"
