"""Whether the fleet is alive, for screens and the errors of expired jobs."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from sisgate import __version__
from sisgate.context import Context
from sisgate.credentials.keys import sealed_with
from sisgate.domain.figures import duration
from sisgate.embedded.redis_conf import uses_embedded_redis
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway.availability import hold_of
from sisgate.liveness.heartbeats import Fleet
from sisgate.liveness.judgement import RECONCILE_SECONDS, obstacles_of
from sisgate.liveness.obstacles import (
    PERIODIC_CAUSES,
    Cause,
    Obstacle,
    ledger_unreachable,
    provider_missing,
    redis_refuses_writes,
    redis_unreachable,
    schema_behind,
    sentences,
)
from sisgate.settings import ProviderConfig


@dataclass(frozen=True)
class Liveness:
    """The known processes of the fleet, and what blocks jobs.

    `fleet` is None, which means unknown, while Redis cannot be reached.
    """

    fleet: Fleet | None
    obstacles: Sequence[Obstacle]

    def stopping(self, provider: str) -> tuple[Obstacle, ...]:
        """Return what blocks the jobs of a provider."""
        places = sorted([*self._places.get(None, ()), *self._places.get(provider, ())])
        return tuple(self.obstacles[place] for place in places)

    @cached_property
    def _places(self) -> Mapping[str | None, Sequence[int]]:
        """Where the obstacles that block jobs are, by provider, None for all."""
        places: dict[str | None, list[int]] = {}
        for place, each in enumerate(self.obstacles):
            if each.stops:
                places.setdefault(each.provider, []).append(place)
        return places

    @property
    def periodic(self) -> tuple[Obstacle, ...]:
        """Return what keeps schedules, key rotation and the other periodic tasks from being run."""
        return tuple(each for each in self.obstacles if each.cause in PERIODIC_CAUSES)

    def workers_of(self, provider: str) -> list[str] | None:
        """Return the names of the live workers that serve a provider; None if unknown."""
        if self.fleet is None:
            return None
        return sorted(each.name for each in self.fleet.serving(provider) if each.is_alive)


def read_liveness(context: Context, providers: Sequence[str] | None = None) -> Liveness:
    """Return the state of the fleet, for some providers or all. An outage is no error."""
    current = context.configuration.current()
    names = list(current.providers) if providers is None else providers
    begun = context.clock.monotonic()
    try:
        fleet = context.heartbeats.read()
        middle = context.clock.monotonic()
        refused = context.heartbeats.refusal_of_writes()
    except BrokerUnavailable:
        is_embedded = uses_embedded_redis(context.settings)
        return Liveness(None, [redis_unreachable(is_embedded=is_embedded)])
    trip_seconds = min(middle - begun, context.clock.monotonic() - middle)
    obstacles = []
    sealed: Mapping[str, AbstractSet[str] | None] = {}
    if refused is not None:
        obstacles.append(redis_refuses_writes(refused))
    try:
        sealed = _sealed_with(context, current.providers, names)
    except DatabaseUnavailable as error:
        obstacles.append(_schema(context) or ledger_unreachable(error.message))
    else:
        if fleet.reconcile_failure is not None and (behind := _schema(context)) is not None:
            obstacles.append(behind)
    obstacles += [provider_missing(name) for name in names if name not in current.providers]
    # If Redis refuses heartbeats, every process appears dead.
    if refused is None:
        obstacles += obstacles_of(
            fleet,
            [name for name in names if name in current.providers],
            version=__version__,
            configuration=current.version,
            own_parts=context.parts_of(current),
            sealed_with=sealed,
            trip_seconds=trip_seconds,
        )
    return Liveness(fleet, obstacles)


def _schema(context: Context) -> Obstacle | None:
    """Return the obstacle that the tables do not match the code, or None."""
    from sisgate.ledger import migrate  # alembic is slow to import, and this is rare

    with suppress(DatabaseUnavailable):
        version, newest = migrate.current(context.database), migrate.newest()
        if version != newest:
            return schema_behind(version, newest)
    return None


def _sealed_with(
    context: Context, configs: Mapping[str, ProviderConfig], names: Sequence[str]
) -> Mapping[str, AbstractSet[str] | None]:
    wanting = [name for name in names if name in configs and configs[name].auth_method != "none"]
    if not wanting:
        return {}
    with context.database.read() as session:
        return sealed_with(session, wanting)


_DISPROVED = {Cause.RECONCILE_OVERDUE, Cause.LEDGER_UNUSABLE}
"""Causes that a reconcile has just disproved."""

_BY_HEARTBEATS = {Cause.WORKER_MISSING, Cause.MASTER_KEY_MISSING}
"""Causes that follow from heartbeats; no heartbeat at all proves none of them."""


def _is_heard(liveness: Liveness) -> bool:
    return liveness.fleet is not None and any(each.is_alive for each in liveness.fleet.processes)


def why_waiting(
    context: Context, provider: str, *, reconciles: bool = False
) -> dict[str, str] | None:
    """Return why the jobs of a provider do not proceed, for the error of an expired job.

    The result has a `message` of whole sentences and its `cause`; None if nothing is known. A
    caller that `reconciles` ends an overdue reconcile, but it was the reason. A Redis that was
    restarted or emptied has no heartbeats yet, although the planner and beat are running.
    """
    liveness = read_liveness(context, [provider])
    stopping = liveness.stopping(provider)
    if reconciles:
        disproved = _DISPROVED if _is_heard(liveness) else _DISPROVED | _BY_HEARTBEATS
        stopping = tuple(o for o in stopping if o.cause not in disproved)
    if stopping:
        return {"message": sentences(stopping), "cause": stopping[0].cause.value}
    silent = liveness.fleet and liveness.fleet.reconciled_seconds
    if reconciles and silent and silent > RECONCILE_SECONDS:
        message = (
            f"No reconcile had succeeded for {duration(silent)}: no worker was running, or "
            "Redis or the ledger could not be reached."
        )
        return {"message": message, "cause": Cause.RECONCILE_OVERDUE.value}
    config = context.configuration.current().providers.get(provider)
    with suppress(BrokerUnavailable):
        hold = config and hold_of(context, config)
        if hold:
            return {"message": f"{hold.reason_text(provider)}.", "cause": hold.reason}
    return None
