"""Whether the fleet is alive, as every screen and the error of an expired job reports it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass

from sisgate import __version__
from sisgate.context import Context
from sisgate.credentials.keys import sealed_with
from sisgate.embedded.redis_conf import uses_embedded_redis
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway.availability import hold_of
from sisgate.liveness import obstacles as judge
from sisgate.liveness.heartbeats import Fleet
from sisgate.liveness.obstacles import Cause, Obstacle


@dataclass(frozen=True)
class Liveness:
    """The known processes of the fleet, and what blocks jobs.

    `fleet` is None, which means unknown, while Redis cannot be reached.
    """

    fleet: Fleet | None
    obstacles: Sequence[Obstacle]

    def stopping(self, provider: str) -> tuple[Obstacle, ...]:
        """Return what blocks the jobs of a provider."""
        return tuple(one for one in self.obstacles if one.concerns(provider))


def read_liveness(context: Context, providers: Sequence[str] | None = None) -> Liveness:
    """Return the state of the fleet, for some providers or all. An outage raises nothing."""
    settings = context.settings
    names = list(settings.providers) if providers is None else providers
    try:
        fleet = context.heartbeats.read()
        refused = context.heartbeats.refusal_of_writes()
    except BrokerUnavailable:
        is_embedded = uses_embedded_redis(settings)
        return Liveness(None, [judge.redis_unreachable(is_embedded=is_embedded)])
    obstacles = []
    sealed: Mapping[str, AbstractSet[str]] = {}
    if refused is not None:
        obstacles.append(judge.redis_refuses_writes(refused))
    try:
        sealed = _sealed_with(context, names)
    except DatabaseUnavailable as error:
        obstacles.append(_schema(context) or judge.ledger_unreachable(error.message))
    else:
        if fleet.reconcile_failure is not None and (behind := _schema(context)) is not None:
            obstacles.append(behind)
    # Behind a Redis that takes no heartbeats, every process looks dead.
    obstacles += [judge.provider_missing(name) for name in names if name not in settings.providers]
    names = [name for name in names if name in settings.providers]
    if refused is None:
        obstacles += judge.obstacles(fleet, names, version=__version__, sealed_with=sealed)
    return Liveness(fleet, obstacles)


def _schema(context: Context) -> Obstacle | None:
    """Return that the tables are not those of the code, which statements only fail of."""
    from sisgate.ledger import migrate  # alembic is slow to import, and this is rare

    with suppress(DatabaseUnavailable):
        version, newest = migrate.current(context.database), migrate.newest()
        if version != newest:
            return judge.schema_behind(version, newest)
    return None


def _sealed_with(context: Context, names: Sequence[str]) -> Mapping[str, AbstractSet[str]]:
    configs = context.settings.providers
    wanting = [name for name in names if name in configs and configs[name].auth_method != "none"]
    if not wanting:
        return {}
    with context.database.read() as session:
        return sealed_with(session, wanting)


_DISPROVED = {Cause.RECONCILE_OVERDUE, Cause.PLANNER_MISSING, Cause.BEAT_MISSING}
"""What cannot be, or is over, where the planner was just sent a reconcile by beat."""

_BY_HEARTBEATS = {Cause.WORKER_MISSING, Cause.MASTER_KEY_MISSING}
"""What is concluded from heartbeats of others; none at all is no proof of it."""


def _is_heard(liveness: Liveness) -> bool:
    return liveness.fleet is not None and any(one.is_alive for one in liveness.fleet.processes)


def why_waiting(
    context: Context, provider: str, *, reconciles: bool = False
) -> dict[str, str] | None:
    """Return why the jobs of a provider do not go on now, for the error of one that ends of it.

    That is a `message` of whole sentences and its `cause`; None where nothing is known. For who
    `reconciles`, that nobody has done so for some time is over, but it was why. A Redis that was
    restarted or emptied knows no heartbeat yet, and the planner and beat run nevertheless.
    """
    liveness = read_liveness(context, [provider])
    stopping = liveness.stopping(provider)
    if reconciles:
        disproved = _DISPROVED if _is_heard(liveness) else _DISPROVED | _BY_HEARTBEATS
        stopping = tuple(o for o in stopping if o.cause not in disproved)
    if stopping:
        return {"message": judge.sentences(stopping), "cause": stopping[0].cause.value}
    silent = liveness.fleet and liveness.fleet.reconciled_seconds
    if reconciles and silent and silent > judge.RECONCILE_SECONDS:
        message = (
            f"No reconcile had succeeded for {judge.length(silent)}: beat or the planner was not "
            "running, or Redis or the ledger could not be reached."
        )
        return {"message": message, "cause": Cause.RECONCILE_OVERDUE.value}
    config = context.settings.providers.get(provider)
    with suppress(BrokerUnavailable):
        hold = config and hold_of(context, config)
        if hold:
            return {"message": f"{hold.reason_words(provider)}.", "cause": hold.reason}
    return None
