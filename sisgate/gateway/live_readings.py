"""What the metrics read of Redis: limiters, breakers, routing and queues, in a few round trips."""

from collections.abc import Mapping, Sequence

from sisgate.admission.state import LimiterState
from sisgate.breakers.fleet import transition_counts
from sisgate.breakers.spec import State
from sisgate.domain.priorities import Priority
from sisgate.gateway.breakers import EndpointStatus, read_standings
from sisgate.gateway.core import Core
from sisgate.monitoring import catalogue as metric
from sisgate.monitoring.readings import Readings
from sisgate.redis.existing import existing
from sisgate.redis.keys import BREAKERS, LIMIT_STATE
from sisgate.redis.queues import list_lengths, queue_keys
from sisgate.settings import ProviderConfig

MOST_IDLE = 500
"""With more providers, those are left out of which Redis has nothing to tell."""


def read(core: Core, configs: Mapping[str, ProviderConfig], into: Readings) -> None:
    """Add what Redis tells of the providers. Raises `BrokerUnavailable`."""
    names = list(configs)
    if len(names) > MOST_IDLE:
        keys = {n: [LIMIT_STATE(provider=n), BREAKERS(provider=n), *queue_keys(n)] for n in names}
        names = existing(core.redis, keys)
    chosen = {name: configs[name] for name in names}
    for name, state in core.limiter.states(
        {name: core.context.limits(config) for name, config in chosen.items()}
    ).items():
        _of_limiter(name, state, into)
    _of_endpoints(core, chosen, into)
    lengths = list_lengths(core.redis, [(n, int(p)) for n in names for p in Priority])
    for (name, number), count in lengths.items():
        into.add(metric.QUEUE_MESSAGES, count, name, Priority(number).word)


def _of_limiter(name: str, state: LimiterState, into: Readings) -> None:
    for window in state.windows if state.known else ():
        labels = name, str(window.rate)
        into.add(metric.LIMIT_CALLS, window.rate.calls, *labels)
        into.add(metric.LIMIT_USED, window.used, *labels)
        into.add(metric.LIMIT_LEFT, window.left, *labels)
    into.add(metric.LIMIT_FACTOR, state.factor, name)
    into.add(metric.LIMIT_BLOCKED, max(0.0, state.blocked_seconds), name)
    into.add(metric.PAUSED, int(state.paused_until is not None), name)
    into.add(metric.IN_FLIGHT, state.in_flight, name)


def _of_endpoints(core: Core, configs: Mapping[str, ProviderConfig], into: Readings) -> None:
    for name, endpoints in read_standings(core, list(configs.values())).items():
        _of_provider(name, endpoints, into)
    for name, counts in transition_counts(core.redis, list(configs)).items():
        for labels, count in counts.items():
            into.add(metric.BREAKER_TRANSITIONS, count, name, *labels)


def _of_provider(name: str, endpoints: Sequence[EndpointStatus], into: Readings) -> None:
    for each in endpoints:
        view, labels = each.breaker, (name, each.breaker.endpoint)
        for state in State:
            into.add(metric.BREAKER_STATE, int(view.state is state), *labels, state.value)
        into.add(metric.BREAKER_PINNED, int(view.pinned), *labels)
        into.add(metric.ENDPOINT_EJECTED, int(each.ejected), *labels)
        into.add(metric.ENDPOINT_UNWELL, int(each.unwell), *labels)
    is_held = all(each.breaker.state is not State.CLOSED for each in endpoints)
    into.add(metric.QUEUE_HELD, int(is_held), name)
