"""Reads the metrics of the fleet from Redis and the ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from sisgate.access.policy import Action
from sisgate.breakers.spec import State
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobState, KeyState
from sisgate.errors import BrokerUnavailable
from sisgate.gateway.breakers import ProviderBreakers
from sisgate.gateway.control import ProviderControl
from sisgate.gateway.core import Core
from sisgate.gateway.liveness import read_liveness
from sisgate.ledger import workload
from sisgate.ledger.keys import list_keys
from sisgate.ledger.schema import Key
from sisgate.ledger.workload import Counts
from sisgate.monitoring.fleet_snapshot import (
    EndpointSnapshot,
    FleetSnapshot,
    ProviderSnapshot,
    WindowSnapshot,
)
from sisgate.quarantine import Quarantine
from sisgate.redis.queues import PLANNER_QUEUE, list_lengths

DAY_SECONDS = 86_400.0


def read(core: Core) -> FleetSnapshot:
    """Return the state of all configured providers.

    Raises `BrokerUnavailable` and `DatabaseUnavailable` rather than return partial data.
    """
    core.access.require(Action.LOOK)
    with core.database.read() as session:
        counts = workload.count(session)
        key_days = _key_days(core, list_keys(session))
    names = list(core.configuration.current().providers)
    waiting = list_lengths(core.redis, [(name, int(p)) for name in names for p in Priority])
    liveness = read_liveness(core.context)
    if liveness.fleet is None:
        raise BrokerUnavailable("Redis cannot be reached.")
    alive = [each for each in liveness.fleet.processes if each.is_alive]
    serving = Counter(queue for each in alive for queue in each.queues)
    providers = [
        _provider(core, name, counts, key_days.get(name, {}), waiting, serving[name])
        for name in names
    ]
    kinds = Counter(each.kind for each in alive)
    return FleetSnapshot(
        providers,
        len(Quarantine(core.redis).messages()),
        alive={
            "worker": kinds["worker"],
            "planner": serving[PLANNER_QUEUE],
            "beat": kinds["beat"],
        },
        obstacles=[(each.cause.value, each.provider) for each in liveness.obstacles],
        reconciled_seconds=liveness.fleet.reconciled_seconds,
        clock_offsets={
            each.host: each.clock_offset_seconds
            for each in alive
            if each.clock_offset_seconds is not None
        },
    )


def _provider(
    core: Core,
    name: str,
    counts: Counts,
    key_days: Mapping[str, float],
    waiting: Mapping[tuple[str, int], int],
    workers: int,
) -> ProviderSnapshot:
    config = core.provider(name)
    state = ProviderControl(core, config).state()
    breakers = ProviderBreakers(core, config)
    calls, transitions = breakers.counts()
    windows = state.windows if state.known else ()
    standings = breakers.standings()
    return ProviderSnapshot(
        name=name,
        endpoints=[
            EndpointSnapshot(
                url=each.breaker.endpoint,
                state=each.breaker.state.value,
                pinned=each.breaker.pinned,
                ejected=each.ejected,
                unwell=each.unwell,
                calls=calls.get(each.breaker.endpoint, {}),
                transitions=transitions.get(each.breaker.endpoint, {}),
            )
            for each in standings
        ],
        windows=[WindowSnapshot(str(w.rate), w.rate.calls, w.used, w.left) for w in windows],
        factor=state.factor,
        blocked_seconds=max(0.0, state.blocked_seconds),
        paused=state.paused_until is not None,
        in_flight=state.in_flight,
        waiting={p.name.lower(): waiting[name, int(p)] for p in Priority},
        held=all(each.breaker.state is not State.CLOSED for each in standings),
        jobs={state: counts.jobs[name, state] for state in JobState},
        dead_letters=counts.dead_letters[name],
        lost_workers=counts.lost_workers[name],
        shared=counts.shared[name],
        key_days=key_days,
        workers=workers,
    )


def _key_days(core: Core, keys: Iterable[Key]) -> Mapping[str, Mapping[str, float]]:
    """Return the days until the active keys expire, by provider and slot."""
    now = core.clock.now()
    days: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for key in keys:
        if key.state == KeyState.ACTIVE and key.expires_at is not None:
            days[key.provider][key.slot] = (key.expires_at - now).total_seconds() / DAY_SECONDS
    return days
