"""The fleet at a glance: what needs attention, and how the work goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sisgate.access.policy import Action, covers_some
from sisgate.domain.figures import counted
from sisgate.domain.priorities import Priority
from sisgate.domain.states import KeyState
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway.availability import hold_of
from sisgate.gateway.core import Core
from sisgate.gateway.forecast import drained_at
from sisgate.gateway.hold import Hold
from sisgate.gateway.job import own_app, places_of
from sisgate.gateway.liveness import Liveness, read_liveness
from sisgate.gateway.overview import ProviderOverview, read_overview
from sisgate.gateway.usage import read_usage
from sisgate.ledger import attention
from sisgate.ledger.keys import list_keys
from sisgate.quarantine import Quarantine
from sisgate.redis.queues import list_lengths
from sisgate.settings import ProviderConfig

MOST_PROVIDERS = 12
"""Providers shown: those with the longest backlog, filled up by name."""

MOST_HELD = 100
KEY_WARNING = timedelta(days=14)

Level = Literal["critical", "warning"]
Subject = Literal["fleet", "provider", "keys", "held", "dead", "unknown", "quarantine"]


@dataclass(frozen=True)
class Attention:
    """One thing that somebody should look at: what is wrong, and what to do.

    `subject` says where to look, `provider` at which. `count` is of jobs, keys or messages.
    """

    level: Level
    subject: Subject
    message: str
    remedy: str
    provider: str | None = None
    count: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return asdict(self)


@dataclass(frozen=True)
class ProviderLoad:
    """A provider with its backlog by priority.

    `drained_at` is when it is worked off if nothing is added, None while unknown. `hold` is why no
    call is made now.
    """

    overview: ProviderOverview
    backlog: Mapping[Priority, int]
    hold: Hold | None
    drained_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        windows = [each.as_dict() for each in self.overview.windows]
        return {
            "name": self.overview.name, "kind": self.overview.config.kind,
            "windows": windows, "hold": self.hold.reason if self.hold else None,
            "backlog": {p.word: n for p, n in self.backlog.items()},
            "drained_at": self.drained_at,
        }  # fmt: skip


@dataclass(frozen=True)
class Dashboard:
    """The fleet at one moment. What cannot be read is None or empty, and `unknown` says why.

    `calls`, `failed` and `throttled` are of the last hours that are counted, since `calls_since`.
    `providers` are the busiest of `provider_count`.
    """

    at: datetime
    attention: Sequence[Attention]
    live_jobs: Mapping[str, int]
    backlog: Mapping[Priority, int] | None
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
            "attention": [each.as_dict() for each in self.attention],
            "live_jobs": dict(self.live_jobs),
            "backlog": backlog,
            "providers": [each.as_dict() for each in self.providers],
            "unknown": list(self.unknown),
        }


def read_dashboard(core: Core) -> Dashboard:
    """Return the fleet as far as the caller may see it."""
    principal = core.access.require_role(Action.LOOK)
    now = core.clock.now()
    configs = [
        config
        for name, config in sorted(core.configuration.current().providers.items())
        if covers_some(principal, name)
    ]
    names = [each.name for each in configs]
    since = now - timedelta(hours=1)
    empty = Dashboard(
        now, (), {}, None, (), len(configs), None, None, None, None, None, since, 0, 0, 0, ()
    )
    liveness = read_liveness(core.context, names)
    board = replace(_with_ledger(core, empty), **_processes(liveness))
    needed = [*_of_fleet(liveness), *board.attention]
    try:
        lengths = list_lengths(core.redis, [(name, int(p)) for name in names for p in Priority])
    except BrokerUnavailable:
        unknown = [*board.unknown, "Redis cannot be reached, so quota and backlog are unknown."]
        return replace(board, attention=needed, unknown=unknown)
    waiting = Counter({name: sum(lengths[name, int(p)] for p in Priority) for name in names})
    loads = [
        _load(core, config, lengths)
        for config in sorted(configs, key=lambda c: (-waiting[c.name], c.name))[:MOST_PROVIDERS]
    ]
    needed += [each for load in loads for each in _of_provider(load)]
    if core.access.allows(Action.LOOK) and (count := len(Quarantine(core.redis).messages())):
        needed.append(_of_quarantine(count))
    return replace(
        board, providers=loads, attention=sorted(needed, key=lambda each: each.level),
        backlog={p: sum(lengths[name, int(p)] for name in names) for p in Priority},
    )  # fmt: skip


def _with_ledger(core: Core, board: Dashboard) -> Dashboard:
    principal = core.access.require_role(Action.LOOK)
    mine = own_app(principal), places_of(principal)
    try:
        with core.database.read() as session:
            live = attention.live_by_state(session, *mine)
            held = attention.still_held(session, *mine, MOST_HELD)
            unknown, dead = attention.unsettled(session, *mine)
            keys = list_keys(session) if core.access.allows(Action.KEYS) else []
            ending = [
                key
                for key in keys
                if key.state == KeyState.ACTIVE
                and key.expires_at is not None
                and key.expires_at - board.at < KEY_WARNING
            ]
        usage = read_usage(core, None, None, board.calls_since, None, "total")
    except DatabaseUnavailable as error:
        return replace(board, unknown=[*board.unknown, error.message])
    needed = [
        *_of_jobs(len(held), unknown, dead),
        *(
            Attention(
                "warning", "keys", f"the {key.slot} key of {key.provider} expires soon",
                "Stage a new key, or rotate it now.", key.provider,
            )
            for key in ending
        ),
    ]  # fmt: skip
    return replace(
        board, live_jobs=live, attention=needed, calls=sum(u.calls for u in usage),
        failed=sum(u.failed for u in usage), throttled=sum(u.throttled for u in usage),
    )  # fmt: skip


def _load(
    core: Core, config: ProviderConfig, lengths: Mapping[tuple[str, int], int]
) -> ProviderLoad:
    (overview,) = read_overview(core, [config]).providers
    backlog = {p: lengths[config.name, int(p)] for p in Priority}
    hold, ends = None, None
    with suppress(BrokerUnavailable, DatabaseUnavailable):
        hold = hold_of(core.context, config)
        ends = drained_at(core, config.name) if sum(backlog.values()) else None
    return ProviderLoad(overview, backlog, hold, ends)


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


def _of_fleet(liveness: Liveness) -> Iterator[Attention]:
    for each in liveness.obstacles:
        level: Level = "critical" if each.stops else "warning"
        subject: Subject = "fleet" if each.provider is None else "provider"
        yield Attention(level, subject, each.message, each.remedy, each.provider)


def _of_provider(load: ProviderLoad) -> Iterator[Attention]:
    name = load.overview.name
    if load.hold is not None:
        text = load.hold.reason_text(name)
        level: Level = "critical" if load.hold.reason == "breaker" else "warning"
        remedy = load.hold.explanation(name)
        yield Attention(level, "provider", text, remedy[:1].upper() + remedy[1:], name)


def _of_jobs(held: int, unknown: int, dead: int) -> Iterator[Attention]:
    if held:
        yield Attention(
            "warning", "held", f"{counted(held, 'sync')} held: deletions wait for approval",
            "Check at the provider whether the records are gone, then approve.", count=held,
        )  # fmt: skip
    if unknown:
        yield Attention(
            "warning", "unknown", f"{counted(unknown, 'job')} of unknown outcome",
            "Find out whether the provider carried it out, then settle it.", count=unknown,
        )  # fmt: skip
    if dead:
        yield Attention(
            "warning", "dead", f"{counted(dead, 'job')} given up",
            "Read the error, mend its cause, and retry.", count=dead,
        )  # fmt: skip


def _of_quarantine(count: int) -> Attention:
    return Attention(
        "warning", "quarantine", f"{counted(count, 'message')} that no worker can handle",
        "Look at it, then requeue or drop it.", count=count,
    )  # fmt: skip
