"""The fleet at a glance: what needs attention, and how the work goes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sisgate.access.policy import Action, covers_some
from sisgate.domain.call_results import CallResult
from sisgate.domain.periods import Period
from sisgate.domain.priorities import Priority
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway import attention as needs
from sisgate.gateway.attention import Attention
from sisgate.gateway.availability import holds_of
from sisgate.gateway.core import Core
from sisgate.gateway.job import own_app, places_of
from sisgate.gateway.liveness import Liveness, read_liveness
from sisgate.gateway.provider_load import ProviderLoad, read_loads
from sisgate.gateway.usage import read_usage
from sisgate.ledger import attention, controls, rollups
from sisgate.ledger.keys import list_keys
from sisgate.ledger.schema import Key
from sisgate.redis.queues import list_lengths
from sisgate.settings import ProviderConfig

_COUNTS = ("calls", "failed", "throttled")

MOST_PROVIDERS = 12
"""Providers shown: those with the longest backlog, filled up by name."""

MOST_HOLDS = 200
"""Providers of which it is looked whether they take calls: those set by hand, then the busiest."""


@dataclass(frozen=True)
class Dashboard:
    """The fleet at one moment. What cannot be read is None or empty, and `unknown` says why.

    `calls` are those since `calls_since`, of which `failed` by the provider: also what could not
    even be sent. An app is told of its own.
    `providers` are the busiest of `provider_count`. `drained_at` is when the backlog of each
    priority is worked off, as far as those providers tell; `stuck` are calls queued for those that
    do not, because they take none.
    """

    at: datetime
    attention: Sequence[Attention]
    live_jobs: Mapping[str, int]
    backlog: Mapping[Priority, int] | None
    drained_at: Mapping[Priority, datetime]
    stuck: Mapping[Priority, int]
    providers: Sequence[ProviderLoad]
    provider_count: int
    workers: int | None
    silent: int | None
    beats: int | None
    slots: int | None
    busy: int | None
    calls_since: datetime
    calls: int
    failed: int
    throttled: int
    unknown: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready, but for times."""
        backlog = None if self.backlog is None else {p.word: n for p, n in self.backlog.items()}
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "attention": [asdict(each) for each in self.attention],
            "live_jobs": dict(self.live_jobs),
            "backlog": backlog,
            "drained_at": {p.word: at for p, at in self.drained_at.items()},
            "stuck": {p.word: n for p, n in self.stuck.items()},
            "providers": [each.as_dict() for each in self.providers],
            "unknown": list(self.unknown),
        }


def read_dashboard(core: Core) -> Dashboard:
    """Return the fleet as far as the caller may see it."""
    principal = core.access.require_role(Action.LOOK)
    now = core.clock.now()
    configs = {
        name: config
        for name, config in sorted(core.configuration.current().providers.items())
        if covers_some(principal, name)
    }
    since = Period.HOUR.begin_of(now - timedelta(hours=1))
    empty = Dashboard(
        now, (), {}, None, {}, {}, (), len(configs), None, None, None, None, None, since, 0, 0, 0,
        (),
    )  # fmt: skip
    liveness = read_liveness(core.context, list(configs))
    board, set_by_hand, keys = _with_ledger(core, empty, configs)
    board = replace(board, **_processes(liveness))
    needed = [*needs.of_fleet(liveness), *board.attention, *needs.of_installation(core)]
    try:
        lengths = list_lengths(core.redis, [(name, int(p)) for name in configs for p in Priority])
        waiting = Counter({name: sum(lengths[name, int(p)] for p in Priority) for name in configs})
        busiest = sorted(configs.values(), key=lambda config: (-waiting[config.name], config.name))
        asked = {c.name: c for c in busiest if c.name in set_by_hand or waiting[c.name]}
        asked |= {config.name: config for config in busiest[:MOST_PROVIDERS]}
        holds = holds_of(core.context, list(asked.values())[:MOST_HOLDS])
    except BrokerUnavailable:
        unknown = [*board.unknown, "Redis cannot be reached, so quota and backlog are unknown."]
        return replace(board, attention=_ranked(needed), unknown=unknown)
    loads = read_loads(core, busiest[:MOST_PROVIDERS], lengths, holds, keys)
    drained_at, stuck = _drains(loads)
    return replace(
        board, providers=loads, attention=_ranked([*needed, *needs.of_holds(holds)]),
        backlog={p: sum(lengths[name, int(p)] for name in configs) for p in Priority},
        drained_at=drained_at, stuck=stuck,
    )  # fmt: skip


def _ranked(needed: Sequence[Attention]) -> list[Attention]:
    return sorted(needed, key=lambda each: each.level)


def _with_ledger(
    core: Core, board: Dashboard, configs: Mapping[str, ProviderConfig]
) -> tuple[Dashboard, set[str], Sequence[Key]]:
    """Return the board with what the ledger knows, what is set by hand, and keys."""
    principal = core.access.require_role(Action.LOOK)
    try:
        with core.database.read() as session:
            live = attention.live_by_state(session, own_app(principal), places_of(principal))
            set_by_hand = {each.provider for each in controls.all_set(session)}
            keys = [key for key in list_keys(session) if key.provider in configs]
        counted = _calls(core, board.calls_since)
        needed = list(needs.of_ledger(core))
    except DatabaseUnavailable as error:
        return replace(board, unknown=[*board.unknown, error.message]), set(), ()
    mine = [key for key in keys if core.access.allows(Action.KEYS, key.provider)]
    needed += needs.of_keys(mine, configs, board.at)
    board = replace(
        board, live_jobs=live, attention=needed, calls=counted["calls"],
        failed=counted["failed"], throttled=counted["throttled"],
    )  # fmt: skip
    return board, set_by_hand, keys


def _calls(core: Core, since: datetime) -> Mapping[str, int]:
    """Return the calls since then that the caller may see, and how many failed or were throttled.

    Calls are counted without their apps, so an app's own are told from its usage.
    """
    if not core.access.require_role(Action.LOOK).sees_all_jobs:
        usage = read_usage(core, None, None, since, None, "total")
        return {name: sum(getattr(u, name) for u in usage) for name in _COUNTS}
    found: Counter[str] = Counter()
    with core.database.read() as session:
        for provider, result, calls in rollups.results(session, since):
            if result is CallResult.NOT_SENT or not core.access.allows(Action.LOOK, provider):
                continue
            found["calls"] += calls
            found["failed"] += calls if result.is_bad else 0
            found["throttled"] += calls if result is CallResult.THROTTLED else 0
    return found


def _drains(
    loads: Sequence[ProviderLoad],
) -> tuple[Mapping[Priority, datetime], Mapping[Priority, int]]:
    """Return when each priority is worked off, and how many of its calls nobody works off."""
    drained_at: dict[Priority, datetime] = {}
    stuck: Counter[Priority] = Counter()
    for load in loads:
        for priority, count in load.backlog.items():
            ends = load.drains.get(priority)
            if count and ends is None:
                stuck[priority] += count
            elif count and ends is not None:
                drained_at[priority] = max(ends, drained_at.get(priority, ends))
    return drained_at, stuck


def _processes(liveness: Liveness) -> dict[str, Any]:
    if liveness.fleet is None:
        return {}
    processes = liveness.fleet.processes
    alive = [each for each in processes if each.is_alive]
    workers = [each for each in alive if each.kind == "worker"]
    return {
        "workers": len(workers), "silent": len(processes) - len(alive),
        "beats": sum(each.kind == "beat" for each in alive),
        "slots": sum(each.slots for each in workers), "busy": sum(each.busy for each in workers),
    }  # fmt: skip
