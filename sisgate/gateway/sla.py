"""Service levels: how providers have served, and what is left of their error budgets."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from sisgate.access.policy import Action
from sisgate.configuration import FleetConfiguration
from sisgate.domain.call_results import CallResult, CallTally
from sisgate.domain.periods import Period
from sisgate.domain.service_levels import Measurement, ReadTimes, down_spans
from sisgate.errors import UsageError
from sisgate.gateway.core import Core
from sisgate.gateway.dataset_reads import DatasetReads
from sisgate.ledger import breaker_changes, datasets, rollups
from sisgate.monitoring.sla import Evidence, ServiceLevel, service_level
from sisgate.monitoring.sla_report import Report, render
from sisgate.settings import ProviderConfig

WINDOWS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "30d": timedelta(days=30)}
"""The spans that end now, by name."""

FEW, KEPT_SECONDS = 500, 60.0
"""The service levels of more providers than so many are kept for so long."""

FEWEST = 20
"""Fewer calls, or seconds, in a span say nothing about a burn rate."""

STAGES = ("provider", "queue")

Reads = Mapping[str, Mapping[str, ReadTimes]]
"""When datasets were read, by provider and resource."""

DAY = timedelta(days=1)


@dataclass(frozen=True)
class ProviderSla:
    """The service levels of one provider by window, and whether it has objectives."""

    name: str
    has_objectives: bool
    windows: Mapping[str, ServiceLevel]

    @property
    def known(self) -> Sequence[Measurement]:
        """The objectives of which something is known, measured over 30 days."""
        return [each for each in self.windows["30d"].measurements if each.total]

    @property
    def least(self) -> Measurement | None:
        """That with the least error budget left."""
        return min(self.known, key=lambda each: each.budget_left or 0, default=None)

    @property
    def burn_rate(self) -> float | None:
        """How fast the fastest error budget burns in the last hour."""
        rates = (each.burn_rate for each in self.windows["1h"].measurements)
        return max((rate for rate in rates if rate is not None), default=None)

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "provider": self.name,
            "has_objectives": self.has_objectives,
            "windows": {name: level.as_dict() for name, level in self.windows.items()},
        }


class LevelsOnDemand(Mapping[str, ServiceLevel]):
    """Service levels by window, each measured when first asked for: a list shows few of many."""

    def __init__(self, measures: Mapping[str, Callable[[], ServiceLevel]]) -> None:
        self._measures = measures
        self._known: dict[str, ServiceLevel] = {}

    def __getitem__(self, window: str) -> ServiceLevel:
        if window not in self._known:
            self._known[window] = self._measures[window]()
        return self._known[window]

    def __iter__(self) -> Iterator[str]:
        return iter(self._measures)

    def __len__(self) -> int:
        return len(self._measures)


class ServiceLevels:
    """Objectives of providers, measured from rollups. An app sees the providers it may look at."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def list(self) -> Sequence[ProviderSla]:
        """Return the service levels of all providers that the caller may see, by name.

        Those of more than 500 providers are up to a minute old.
        """
        self._core.access.require_role(Action.LOOK)
        fleet = self._core.configuration.current()
        names = [n for n in sorted(fleet.providers) if self._core.access.allows(Action.LOOK, n)]
        seconds = KEPT_SECONDS if len(names) > FEW else 0.0
        kept: Sequence[ProviderSla] = self._core.context.kept_for(
            seconds, f"service levels of {hash(tuple(names))}", lambda: self._read(fleet, names)
        )
        return kept

    def of(self, provider: str) -> ProviderSla:
        """Return those of one provider; raises `UnknownProvider`."""
        self._core.provider(provider)
        self._core.access.require_any(Action.LOOK, provider)
        (found,) = self._read(self._core.configuration.current(), [provider])
        return found

    def burn_rates(self, spans: Sequence[timedelta]) -> Mapping[str, Mapping[str, float]]:
        """Return by provider how fast each error budget burns, the least of spans that end now.

        Of calls only: the budget of fresh data is that of a month. Objectives of which hardly
        anything is known in one of the spans are left out.
        """
        self._core.access.require(Action.ADMINISTER)
        fleet, now = self._core.configuration.current(), self._core.clock.now()
        configs = [c for c in fleet.providers.values() if not _objectives(fleet, c).is_empty]
        rates: defaultdict[str, defaultdict[str, list[float]]]
        rates = defaultdict(lambda: defaultdict(list))
        if not configs:
            return {}
        with self._core.database.read() as session:
            for span in sorted(spans):
                # The budget of fresh data is that of a month, so no reads are looked for.
                found = self._evidence(session, configs, now - span, now, now, {})
                # Most of thousands are idle: of them nothing is known, in longer spans neither.
                configs = [c for c in configs if found[c.name].counts or found[c.name].down]
                for config in configs:
                    burning = _burn_rates(_level(fleet, config, found[config.name]))
                    if any(rate > 1 for rate in burning.values()):
                        # Only then it matters whether the span began before there were calls.
                        first = rollups.first(session, config.name).get(config.name)
                        burning = _burn_rates(_level(fleet, config, found[config.name], first))
                    for kind, rate in burning.items():
                        rates[config.name][kind].append(rate)
        return {
            name: {kind: min(each) for kind, each in kinds.items() if len(each) == len(spans)}
            for name, kinds in rates.items()
        }

    def month(self, provider: str, month: str | None = None) -> Report:
        """Return a month's report, `"2026-10"`, the last whole month by default; in UTC.

        Raises `UnknownProvider`, and `UsageError` for another form or a month that is to come.
        """
        config = self._core.provider(provider)
        self._core.access.require_any(Action.LOOK, provider)
        now = self._core.clock.now()
        since, until = _month_of(month, now)
        fleet = self._core.configuration.current()
        with self._core.database.read() as session:
            reads = self._reads(session, fleet, [config], until)
            evidence = self._evidence(session, [config], since, until, now, reads)[provider]
            days: defaultdict[datetime, dict[tuple[CallResult, str], CallTally]]
            days = defaultdict(dict)
            for number in range((until - since) // DAY + bool((until - since) % DAY)):
                days[since + number * DAY] = {}
            for begin, key, tally in rollups.by_period(
                session, Period.DAY, since, until, provider=provider, stages=STAGES
            ):
                _add(days[begin], key.result, key.resource, tally)
        level = _level(fleet, config, evidence)
        return Report(level, dict(sorted(days.items())), now)

    def report(self, provider: str, month: str | None = None) -> str:
        """Return a month's report as a page of HTML to print; raises as `month`."""
        return render(self.month(provider, month))

    def _read(self, fleet: FleetConfiguration, names: Sequence[str]) -> Sequence[ProviderSla]:
        now = self._core.clock.now()
        configs = [fleet.providers[name] for name in names]
        measures: defaultdict[str, dict[str, Callable[[], ServiceLevel]]] = defaultdict(dict)
        with self._core.database.read() as session:
            reads = self._reads(session, fleet, configs, now)
            first = rollups.first(session, configs[0].name if len(configs) == 1 else None)
            for window, length in WINDOWS.items():
                found = self._evidence(session, configs, now - length, now, now, reads)
                for config in configs:
                    measures[config.name][window] = partial(
                        _level, fleet, config, found[config.name], first.get(config.name)
                    )
        return [
            ProviderSla(
                config.name,
                not _objectives(fleet, config).is_empty,
                LevelsOnDemand(measures[config.name]),
            )
            for config in configs
        ]

    def _reads(
        self,
        session: Session,
        fleet: FleetConfiguration,
        configs: Sequence[ProviderConfig],
        until: datetime,
    ) -> Reads:
        """Return when datasets were read, as far as objectives of fresh data ask for it."""
        wanted = [_objectives(fleet, config) for config in configs]
        bounds = [
            bound for each in wanted
            for bound in (each.freshness, *(own.freshness for own in each.datasets.values()))
            if bound is not None
        ]  # fmt: skip
        if not bounds:
            return {}
        only = configs[0].name if len(configs) == 1 else None
        reads: defaultdict[str, dict[str, ReadTimes]] = defaultdict(dict)
        apart = min(bounds)
        if len(configs) > FEW:
            followed = self._core.context.kept_for(
                math.inf, "dataset reads", lambda: DatasetReads(apart), of=apart
            )
            known = followed.before(session, until)
        else:
            known = datasets.read_times(session, until, apart, only)
        for (name, resource), read in known.items():
            reads[name][resource] = read
        return reads

    def _evidence(
        self,
        session: Session,
        configs: Sequence[ProviderConfig],
        since: datetime,
        until: datetime,
        now: datetime,
        reads: Reads,
    ) -> Mapping[str, Evidence]:
        only = configs[0].name if len(configs) == 1 else None
        counts: defaultdict[str, dict[tuple[CallResult, str], CallTally]] = defaultdict(dict)
        for _, key, tally in rollups.between(
            session, since, until, now, provider=only, stages=STAGES
        ):
            _add(counts[key.provider], key.result, key.resource, tally)
        changes = breaker_changes.before(session, until, only)
        return {
            config.name: Evidence(
                since,
                until,
                counts[config.name],
                list(
                    down_spans(
                        changes[config.name],
                        [endpoint.url for endpoint in config.endpoints],
                        since,
                        until,
                    )
                )
                if config.name in changes
                else [],
                reads.get(config.name, {}),
            )
            for config in configs
        }


def _add(
    counts: dict[tuple[CallResult, str], CallTally],
    result: CallResult,
    resource: str,
    tally: CallTally,
) -> None:
    counts.setdefault((result, resource), CallTally()).merge(tally)


def _objectives(fleet: FleetConfiguration, config: ProviderConfig) -> Any:
    return config.objectives if config.objectives is not None else fleet.objectives


def _level(
    fleet: FleetConfiguration,
    config: ProviderConfig,
    evidence: Evidence,
    known_since: datetime | None = None,
) -> ServiceLevel:
    evidence = replace(evidence, known_since=known_since)
    objectives = _objectives(fleet, config)
    calendar = fleet.calendars[objectives.calendar].school_time if objectives.calendar else None
    return service_level(config.name, objectives, calendar, evidence)


def _burn_rates(level: ServiceLevel) -> Mapping[str, float]:
    return {
        each.kind.value: each.burn_rate
        for each in level.measurements
        if each.resource is None and each.total >= FEWEST and each.burn_rate is not None
    }


def _month_of(month: str | None, now: datetime) -> tuple[datetime, datetime]:
    this = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if month is None:
        return (this - timedelta(days=1)).replace(day=1), this
    try:
        since = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"Write a month as 2026-10, not {month!r}.") from None
    if since > now:
        raise UsageError(f"The month {month} has not begun yet.")
    return since, min(now, (since + timedelta(days=32)).replace(day=1))
