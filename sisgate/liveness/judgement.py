"""What blocks jobs, by the heartbeats of the fleet: one judgement for all screens. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from statistics import median
from types import MappingProxyType

from sisgate.domain.figures import duration
from sisgate.errors import DatabaseUnavailable
from sisgate.liveness.disagreements import disagreements
from sisgate.liveness.heartbeats import Fleet, Heartbeat
from sisgate.liveness.obstacles import Cause, Obstacle, ledger_unusable, listed, redis_slow
from sisgate.redis.queues import PLANNER_QUEUE

RECONCILE_SECONDS = 10.0
"""A reconcile is due every second; without one for this long, the work that needs it is stuck."""

UNDONE = (
    "schedules, key rotation, health checks, retention, usage counts and the sealing of the audit "
    "log stand still"
)
"""What only beat triggers, on a worker of the planner's queue."""

TRIP_SECONDS = 0.5
"""A round trip to Redis that takes longer is reported."""

FULL_SECONDS = 60.0
"""Slots that have been busy with the same tasks for this long are reported."""

REFUSED_SECONDS = 600.0
"""How long a worker that refused to start is reported, unless it has started since."""


def obstacles_of(
    fleet: Fleet,
    providers: Iterable[str],
    *,
    version: str,
    configuration: int | None = None,
    own_parts: Mapping[str, str] = MappingProxyType({}),
    sealed_with: Mapping[str, AbstractSet[str] | None] = MappingProxyType({}),
    trip_seconds: float | None = None,
) -> list[Obstacle]:
    """Return what blocks jobs, most general first, then the warnings.

    `providers` are those of the configuration, whose number is `configuration`, None if unknown;
    `version` is that of the calling code, `own_parts` the digests of its configuration, where it
    sends no heartbeats itself.
    `sealed_with` maps each provider that needs a key to the ids of the master keys that sealed its
    keys, empty where it has none, None where it never had one. `trip_seconds` is how long a round
    trip to Redis takes from here, None if nobody has measured it.
    """
    blocking = [*_central(fleet)]
    for provider in providers:
        blocking += _serving(fleet, provider)
        if provider in sealed_with:
            blocking += _keys(fleet, provider, sealed_with[provider])
    return [
        *blocking,
        *_slow(fleet, trip_seconds),
        *_refused(fleet),
        *_periodic(fleet),
        *disagreements(fleet, version, configuration, own_parts),
    ]


def _central(fleet: Fleet) -> Iterator[Obstacle]:
    """Yield that no worker reconciles though some are alive; without any, that is the reason."""
    silent = fleet.reconciled_seconds
    has_worker = any(process.kind == "worker" and process.is_alive for process in fleet.processes)
    if has_worker and (silent is None or silent > RECONCILE_SECONDS):
        since = "yet" if silent is None else f"for {duration(silent)}"
        why = f" ({fleet.reconcile_failure.rstrip('.')})" if fleet.reconcile_failure else ""
        if fleet.failure_code == DatabaseUnavailable.code:
            yield ledger_unusable(since, why)
            return
        yield Obstacle(
            Cause.RECONCILE_OVERDUE,
            f"no reconcile has succeeded {since}{why}",
            "Any worker does it, so check the workers' logs: do they reach the database, do the "
            "hosts' clocks agree?",
        )


def _slow(fleet: Fleet, trip_seconds: float | None) -> Iterator[Obstacle]:
    """Yield that Redis is slow for most of those who measure it: the processes, and the caller."""
    trips = [
        2 * each.clock_error_seconds
        for each in fleet.processes
        if each.is_alive and each.clock_offset_seconds is not None
    ]
    trips += [] if trip_seconds is None else [trip_seconds]
    if trips and median(trips) >= TRIP_SECONDS:
        yield redis_slow(median(trips))


def _periodic(fleet: Fleet) -> Iterator[Obstacle]:
    """Yield what is missing for periodic tasks. Jobs go on without it."""
    planners = fleet.serving(PLANNER_QUEUE)
    if not any(planner.is_alive for planner in planners):
        yield Obstacle(
            Cause.PLANNER_MISSING,
            f"the planner {_absence(planners)}",
            f"Other workers plan syncs a few seconds later. Syncs sent by task name wait, and "
            f"{UNDONE}. Start a worker of all providers (`sisgate celery worker`) or of its queue "
            "alone (with -Q sisgate), or `sisgate up` on one machine.",
            stops=False,
        )
    beats = [process for process in fleet.processes if process.kind == "beat"]
    if not any(beat.is_alive for beat in beats):
        yield Obstacle(
            Cause.BEAT_MISSING,
            f"beat {_absence(beats)}",
            f"Jobs go on, but {UNDONE}. Start it: `sisgate celery beat`, or `sisgate up` on one "
            "machine.",
            stops=False,
        )


def _serving(fleet: Fleet, provider: str) -> Iterator[Obstacle]:
    serving = fleet.serving(provider)
    alive = [process for process in serving if process.is_alive]
    if not alive:
        last = f"; the last one {_absence(serving)}" if serving else ""
        yield Obstacle(
            Cause.WORKER_MISSING,
            f"no worker serves {provider}{last}",
            f"Start one: `sisgate celery worker` serves all providers, with -Q {provider} only "
            "this one; or `sisgate up` on one machine. A running worker serves it after "
            f"`sisgate celery control add_consumer {provider}`.",
            provider,
        )
        return
    full = min(process.full_seconds for process in alive)
    if full > FULL_SECONDS:
        yield Obstacle(
            Cause.SLOTS_FULL,
            f"every slot of the workers that serve {provider} has been busy with the same tasks "
            f"for {duration(full)}",
            "`sisgate celery inspect active` shows which. Give the workers more slots (-c), or "
            "start more workers.",
            provider,
        )


def _keys(fleet: Fleet, provider: str, masters: AbstractSet[str] | None) -> Iterator[Obstacle]:
    if masters is None:
        yield Obstacle(
            Cause.NOT_SET_UP,
            f"{provider} is not set up yet: it has no key",
            f"Add one: `sisgate keys add {provider}`.",
            provider,
        )
        return
    if not masters:
        yield Obstacle(
            Cause.KEY_MISSING,
            f"{provider} has no key",
            f"Add one: `sisgate keys add {provider}`.",
            provider,
        )
        return
    serving = [process for process in fleet.serving(provider) if process.is_alive]
    if serving and not any(masters & set(process.master_keys) for process in serving):
        yield Obstacle(
            Cause.MASTER_KEY_MISSING,
            f"no worker that serves {provider} has the master key of its key, "
            f"{' or '.join(sorted(masters))}",
            "Give the workers that master key (SISGATE_MASTER_KEY_FILE) and restart them.",
            provider,
        )
        return
    lacking = [str(process) for process in serving if not masters & set(process.master_keys)]
    if lacking:
        yield Obstacle(
            Cause.MASTER_KEY_MISSING,
            f"{listed(lacking)} cannot open the key of {provider}, sealed with master key "
            f"{' or '.join(sorted(masters))}",
            "What it takes waits and is tried again, until another worker takes it. Give it that "
            "master key (SISGATE_MASTER_KEY_FILE) and restart it.",
            provider,
            stops=False,
            harms=True,
        )


def _refused(fleet: Fleet) -> Iterator[Obstacle]:
    for process in fleet.processes:
        if process.refusal and process.age_seconds <= REFUSED_SECONDS:
            yield Obstacle(
                Cause.WORKER_REFUSED,
                f"{process} refused to start {duration(process.age_seconds)} ago",
                process.refusal,
                stops=False,
                harms=True,
            )


def _absence(silent: Sequence[Heartbeat]) -> str:
    """Return how something is missing; `silent` are past heartbeats, the latest first.

    >>> beat = Heartbeat("id", "beat", "host", 1, "beat", "1", age_seconds=40.4)
    >>> _absence([beat]), _absence([])
    ('has not been seen for 40 s', 'is not running')
    """
    if not silent:
        return "is not running"
    return f"has not been seen for {duration(silent[0].age_seconds)}"
