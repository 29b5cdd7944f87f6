"""The fleet-wide settings: the same for every process, whatever its host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, model_validator

from sisgate.domain.recurrence import Recurrence, checked_cron
from sisgate.settings.alerts import AlertsConfig
from sisgate.settings.app import AppConfig
from sisgate.settings.fields import Duration, Frozen, Zone
from sisgate.settings.files import FileState
from sisgate.settings.objectives import CalendarConfig, ObjectivesConfig, objective_mistakes
from sisgate.settings.provider import NAME, ProviderConfig
from sisgate.settings.selector import ProviderSelector
from sisgate.settings.webhooks import WebhookConfig

ScheduleName = Annotated[str, Field(pattern=NAME)]


Kept = Annotated[
    Annotated[Duration, Field(ge=timedelta(hours=1))] | None,
    BeforeValidator(lambda value: None if value == "keep" else value),
]
"""How long something is kept, at least an hour; `"keep"` means for ever."""


class RetentionConfig(Frozen):
    """Retention periods, `[retention]`. None means for ever."""

    jobs: Kept = timedelta(days=90)
    changes: Kept = timedelta(days=365)
    deleted_records: Kept = timedelta(days=365)
    usage: Kept = timedelta(days=730)
    originals: Kept = None
    webhooks: Kept = timedelta(days=30)


class ScheduleConfig(Frozen):
    """When to sync which datasets of which providers; see `sisgate.gateway.schedules`.

    `provider` is a name, or `*` for all; `where` selects several instead. Without `resources`, all
    of a provider's. Each provider starts at an offset of its own within `window`. A run missed by
    more than `catch_up` is skipped.
    """

    provider: str | None = None
    where: ProviderSelector | None = None
    resources: tuple[str, ...] = ()
    cron: Annotated[str, AfterValidator(checked_cron)] | None = None
    every: Annotated[Duration, Field(ge=timedelta(minutes=1))] | None = None
    zone: Zone = "UTC"
    window: Annotated[Duration, Field(ge=timedelta(0), le=timedelta(days=1))] = timedelta(0)
    mode: Literal["auto", "full", "incremental"] = "auto"
    priority: Literal["urgent", "high", "normal", "low"] = "low"
    catch_up: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(hours=1)

    @model_validator(mode="after")
    def _has_one_recurrence(self) -> ScheduleConfig:
        if (self.cron is None) == (self.every is None):
            raise ValueError('write either cron = "0 2 * * 1-5" or every = "PT15M"')
        return self

    @model_validator(mode="after")
    def _has_providers(self) -> ScheduleConfig:
        if (self.provider is None) == (self.where is None):
            raise ValueError(
                'write either provider = "NAME", provider = "*" for all, or '
                'where = { pool = "north" }'
            )
        return self

    @model_validator(mode="after")
    def _window_is_within_the_interval(self) -> ScheduleConfig:
        if self.every is not None and self.window > self.every:
            raise ValueError("window is at most every")
        return self

    @property
    def recurrence(self) -> Recurrence:
        """When it is due, for a provider without an offset."""
        return Recurrence(self.cron, self.every, self.zone)

    @property
    def selector(self) -> ProviderSelector | None:
        """Which providers it syncs, if it may be several."""
        return ProviderSelector() if self.provider == "*" else self.where

    def providers_among(self, providers: Mapping[str, ProviderConfig]) -> list[str]:
        """Return the names of the providers that it syncs, sorted."""
        if self.selector is not None:
            return self.selector.select(providers.values())
        return [self.provider] if self.provider and self.provider in providers else []


_ANY_APP = AppConfig()


class FleetSettings(Frozen):
    """The settings that every process of a fleet shares."""

    providers: dict[str, ProviderConfig] = Field(default_factory=dict)
    apps: dict[str, AppConfig] = Field(default_factory=dict)
    schedules: dict[ScheduleName, ScheduleConfig] = Field(default_factory=dict)
    retention: RetentionConfig = RetentionConfig()
    webhooks: WebhookConfig = WebhookConfig()
    alerts: AlertsConfig = AlertsConfig()
    objectives: ObjectivesConfig = ObjectivesConfig()
    calendars: dict[ScheduleName, CalendarConfig] = Field(default_factory=dict)
    response_retention: Duration = timedelta(days=1)
    response_max_bytes: Annotated[int, Field(ge=1024)] = 1_048_576
    broker_may_raise_limits: bool = False
    max_clock_difference: Annotated[Duration, Field(ge=timedelta(seconds=5))] = timedelta(days=1)
    _tables: Mapping[str, Any] = PrivateAttr(default_factory=dict)
    _file_state: FileState | None = PrivateAttr(default=None)

    @property
    def provider_tables(self) -> Mapping[str, Any]:
        """The tables that the providers were read from; empty for providers made by code."""
        providers: Mapping[str, Any] = self._tables.get("providers", {})
        return providers

    def tables_of(self, state: FileState | None) -> Mapping[str, Any] | None:
        """Return the tables of the file that these were read from, None if it has changed since."""
        return self._tables if state is not None and state == self._file_state else None

    def read_from(self, tables: Mapping[str, Any], state: FileState | None) -> Self:
        """Note what these were read from, and return them."""
        self._tables, self._file_state = tables, state
        return self

    def app(self, name: str) -> AppConfig:
        """Return the configuration of a calling app; the defaults for one that has none."""
        return self.apps.get(name, _ANY_APP)


def mistakes(fleet: FleetSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield place and problem of what does not fit the rest of the file."""
    yield from _of_schedules(fleet.schedules, fleet.providers, fleet.retention.jobs)
    yield from objective_mistakes(fleet.objectives, fleet.calendars, ("objectives",), None)
    for name, config in fleet.providers.items():
        if config.objectives is not None:
            place, resources = ("providers", name, "objectives"), config.dialect_class.resources
            yield from objective_mistakes(config.objectives, fleet.calendars, place, resources)


def _of_schedules(
    schedules: Mapping[str, ScheduleConfig],
    providers: Mapping[str, ProviderConfig],
    jobs_kept: timedelta | None,
) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, schedule in schedules.items():
        place = ("schedules", name)
        chosen = schedule.providers_among(providers)
        if schedule.selector is None and not chosen:
            known = ", ".join(sorted(providers)) or "none"
            yield (*place, "provider"), f"no provider {schedule.provider!r} is among {known}"
        # Where there may be several, one that offers a dataset is enough, and all may come later.
        offered = {
            resource for name in chosen for resource in providers[name].dialect_class.resources
        }
        if chosen and (unknown := set(schedule.resources) - offered):
            only = providers[chosen[0]].dialect_class.resources if len(chosen) == 1 else None
            listed = ", ".join(only or sorted(offered))
            yield (*place, "resources"), f"{', '.join(sorted(unknown))} is not among {listed}"
        # A run is identified by its job: if that were deleted, it would run again.
        if jobs_kept is not None and schedule.catch_up > jobs_kept:
            yield (*place, "catch_up"), "must be at most retention.jobs"
