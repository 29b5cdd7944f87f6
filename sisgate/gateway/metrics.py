"""Reads how the fleet stands, for metrics: Redis for what is now, the ledger for the work."""

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
    """Return how all providers of the configuration stand.

    Raises `BrokerUnavailable` and `DatabaseUnavailable`: half a reading would look like a whole.
    """
    core.access.require(Action.LOOK)
    with core.database.read() as session:
        counts = workload.count(session)
        key_days = _key_days(core, list_keys(session))
    names = list(core.settings.providers)
    waiting = list_lengths(core.redis, [(name, int(p)) for name in names for p in Priority])
    liveness = read_liveness(core.context)
    if liveness.fleet is None:
        raise BrokerUnavailable("Redis cannot be reached.")
    alive = [one for one in liveness.fleet.processes if one.is_alive]
    serving = Counter(queue for one in alive for queue in one.queues)
    providers = [
        _provider(core, name, counts, key_days.get(name, {}), waiting, serving[name])
        for name in names
    ]
    kinds = Counter(one.kind for one in alive)
    return FleetSnapshot(
        providers,
        len(Quarantine(core.redis).messages()),
        alive={
            "worker": kinds["worker"],
            "planner": serving[PLANNER_QUEUE],
            "beat": kinds["beat"],
        },
        obstacles=[(one.cause.value, one.provider) for one in liveness.obstacles],
        reconciled_seconds=liveness.fleet.reconciled_seconds,
        clock_offsets={
            one.host: one.clock_offset_seconds
            for one in alive
            if one.clock_offset_seconds is not None
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
                url=one.breaker.endpoint,
                state=one.breaker.state.value,
                pinned=one.breaker.pinned,
                ejected=one.ejected,
                unwell=one.unwell,
                calls=calls.get(one.breaker.endpoint, {}),
                transitions=transitions.get(one.breaker.endpoint, {}),
            )
            for one in standings
        ],
        windows=[WindowSnapshot(str(w.rate), w.rate.calls, w.used, w.left) for w in windows],
        factor=state.factor,
        blocked_seconds=max(0.0, state.blocked_seconds),
        paused=state.paused_until is not None,
        in_flight=state.in_flight,
        waiting={p.name.lower(): waiting[name, int(p)] for p in Priority},
        held=all(one.breaker.state is not State.CLOSED for one in standings),
        jobs={state: counts.jobs[name, state] for state in JobState},
        dead_letters=counts.dead_letters[name],
        lost_workers=counts.lost_workers[name],
        key_days=key_days,
        workers=workers,
    )


def _key_days(core: Core, keys: Iterable[Key]) -> Mapping[str, Mapping[str, float]]:
    """Return how many days the active keys are still valid, by provider and slot."""
    now = core.clock.now()
    days: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for key in keys:
        if key.state == KeyState.ACTIVE and key.expires_at is not None:
            days[key.provider][key.slot] = (key.expires_at - now).total_seconds() / DAY_SECONDS
    return days
