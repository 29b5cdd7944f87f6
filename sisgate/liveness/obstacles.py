"""What blocks jobs: one judgement and one wording for all screens. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sisgate.configuration.parts import ACCESS
from sisgate.liveness.heartbeats import Fleet, Heartbeat
from sisgate.redis.queues import PLANNER_QUEUE

RECONCILE_SECONDS = 10.0
"""A reconcile is due every second; without one for this long, the work that needs it is stuck."""

UNDONE = (
    "schedules, key rotation, health checks, retention, usage counts and the sealing of the audit "
    "log stand still"
)
"""What only beat triggers, on a worker of the planner's queue."""

FULL_SECONDS = 60.0
"""Slots that have been busy with the same tasks for this long are reported."""

APPLY_ONE = "Apply one file for all with `sisgate config apply`; every process follows it at once."

REFUSED_SECONDS = 600.0
"""How long a worker that refused to start is reported, unless it has started since."""

THIS_PROCESS = "this process"

CLOCK_SECONDS = 1.0
"""Hosts whose clocks differ from Redis's by more than this are reported."""


class Cause(StrEnum):
    """What is wrong, for programs."""

    REDIS_UNREACHABLE = "redis_unreachable"
    REDIS_REFUSES_WRITES = "redis_refuses_writes"
    LEDGER_UNREACHABLE = "ledger_unreachable"
    SCHEMA_BEHIND = "schema_behind"
    PLANNER_MISSING = "planner_missing"
    BEAT_MISSING = "beat_missing"
    RECONCILE_OVERDUE = "reconcile_overdue"
    WORKER_MISSING = "worker_missing"
    PROVIDER_MISSING = "provider_missing"
    KEY_MISSING = "key_missing"
    MASTER_KEY_MISSING = "master_key_missing"
    WORKER_REFUSED = "worker_refused"
    SLOTS_FULL = "slots_full"
    CLOCKS_DIFFER = "clocks_differ"
    VERSIONS_DIFFER = "versions_differ"
    CONFIGURATION_LAGS = "configuration_lags"
    CONFIGURATION_NOT_UNDERSTOOD = "configuration_not_understood"
    CONFIGURATION_UNVERSIONED = "configuration_unversioned"
    CONFIGURATION_FILES_DIFFER = "configuration_files_differ"
    ACCESS_DIFFERS = "access_differs"


PERIODIC_CAUSES = frozenset({Cause.PLANNER_MISSING, Cause.BEAT_MISSING})
"""Causes that keep periodic tasks from being run. Jobs go on."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing that is wrong. `message` has no full stop; `remedy` is whole sentences.

    `provider` is None for what concerns all. An obstacle that `stops` jobs blocks them until it is
    gone; any other is a warning, unless it `harms`: jobs go on, but not as they should.
    """

    cause: Cause
    message: str
    remedy: str
    provider: str | None = None
    stops: bool = True
    harms: bool = False

    def __str__(self) -> str:
        """Return the message and the remedy as sentences."""
        return f"{self.message[:1].upper()}{self.message[1:]}. {self.remedy}"

    def concerns(self, provider: str) -> bool:
        """Return whether it blocks a provider's jobs."""
        return self.stops and self.provider in {None, provider}

    def as_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {**asdict(self), "cause": self.cause.value}


def sentences(obstacles: Iterable[Obstacle]) -> str:
    """Return each message with its remedy, as sentences.

    >>> sentences([Obstacle(Cause.BEAT_MISSING, "beat is not running", "Start it.")])
    'Beat is not running. Start it.'
    """
    return " ".join(map(str, obstacles))


def redis_unreachable(*, is_embedded: bool) -> Obstacle:
    """Return the obstacle of a Redis that does not answer: nothing is known of the fleet."""
    remedy = "Check SISGATE_BROKER_URL, and that Redis is running and reachable from here."
    if is_embedded:
        remedy = "Start `sisgate up`. Until then work is accepted and waits in the ledger."
    return Obstacle(Cause.REDIS_UNREACHABLE, "Redis cannot be reached", remedy)


def redis_refuses_writes(why: str) -> Obstacle:
    """Return the obstacle of a Redis that refuses writes."""
    return Obstacle(
        Cause.REDIS_REFUSES_WRITES,
        f"Redis refuses writes: {why}",
        "Nothing is published or admitted until it accepts writes again. Give it more memory or "
        "disk, or point SISGATE_BROKER_URL at the primary.",
    )


def ledger_unreachable(remedy: str) -> Obstacle:
    """Return the obstacle of a database that does not answer."""
    return Obstacle(Cause.LEDGER_UNREACHABLE, "the ledger cannot be reached", remedy)


def schema_behind(version: str | None, newest: str) -> Obstacle:
    """Return the obstacle of a database whose schema is older than the code's."""
    return Obstacle(
        Cause.SCHEMA_BEHIND,
        f"the ledger is at version {version or 'none'}, and the code needs {newest}",
        "Run `sisgate db upgrade`, then restart workers and beat.",
    )


def provider_missing(provider: str) -> Obstacle:
    """Return the obstacle of a provider that has work but is not, or no longer, configured."""
    return Obstacle(
        Cause.PROVIDER_MISSING,
        f"{provider} is not in the configuration",
        f"Restore [providers.{provider}], also where workers and beat read it, and its work "
        "resumes; or cancel the work with `sisgate jobs cancel`.",
        provider,
    )


def obstacles(
    fleet: Fleet,
    providers: Iterable[str],
    *,
    version: str,
    configuration: int | None = None,
    own_parts: Mapping[str, str] = MappingProxyType({}),
    sealed_with: Mapping[str, AbstractSet[str]] = MappingProxyType({}),
) -> list[Obstacle]:
    """Return what blocks jobs, most general first, then the warnings.

    `providers` are those of the configuration, whose number is `configuration`, None if unknown;
    `version` is that of the calling code, `own_parts` the digests of its configuration, where it
    sends no heartbeats itself.
    `sealed_with` maps each provider that needs a key to the ids of the master keys that sealed its
    keys, empty where it has none.
    """
    blocking = [*_central(fleet)]
    for provider in providers:
        blocking += _serving(fleet, provider)
        if provider in sealed_with:
            blocking += _keys(fleet, provider, sealed_with[provider])
    return [
        *blocking,
        *_refused(fleet),
        *_periodic(fleet),
        *_clocks(fleet),
        *_versions(fleet, version),
        *_configurations(fleet, configuration),
        *_files(fleet, own_parts, configuration),
    ]


def _central(fleet: Fleet) -> Iterator[Obstacle]:
    """Yield that no worker reconciles though some are alive; without any, that is the reason."""
    silent = fleet.reconciled_seconds
    has_worker = any(process.kind == "worker" and process.is_alive for process in fleet.processes)
    if has_worker and (silent is None or silent > RECONCILE_SECONDS):
        since = "yet" if silent is None else f"for {length(silent)}"
        why = f" ({fleet.reconcile_failure})" if fleet.reconcile_failure else ""
        yield Obstacle(
            Cause.RECONCILE_OVERDUE,
            f"no reconcile has succeeded {since}{why}",
            "Any worker does it, so check the workers' logs: do they reach the database, do the "
            "hosts' clocks agree?",
        )


def _periodic(fleet: Fleet) -> Iterator[Obstacle]:
    """Yield what is missing for periodic tasks. Jobs go on without it."""
    planners = [process for process in fleet.processes if PLANNER_QUEUE in process.queues]
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
    serving = [process for process in fleet.processes if provider in process.queues]
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
            f"for {length(full)}",
            "`sisgate celery inspect active` shows which. Give the workers more slots (-c), or "
            "start more workers.",
            provider,
        )


def _keys(fleet: Fleet, provider: str, masters: AbstractSet[str]) -> Iterator[Obstacle]:
    if not masters:
        yield Obstacle(
            Cause.KEY_MISSING,
            f"{provider} has no key",
            f"Add one: `sisgate keys add {provider}`.",
            provider,
        )
        return
    serving = [p for p in fleet.processes if p.is_alive and provider in p.queues]
    if serving and not any(masters & set(process.master_keys) for process in serving):
        yield Obstacle(
            Cause.MASTER_KEY_MISSING,
            f"no worker that serves {provider} has the master key of its key, "
            f"{' or '.join(sorted(masters))}",
            "Give the workers that master key (SISGATE_MASTER_KEY_FILE) and restart them.",
            provider,
        )
        return
    lacking = [_who(process) for process in serving if not masters & set(process.master_keys)]
    if lacking:
        yield Obstacle(
            Cause.MASTER_KEY_MISSING,
            f"{_listed(lacking)} cannot open the key of {provider}, sealed with master key "
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
                f"{_who(process)} refused to start {length(process.age_seconds)} ago",
                process.refusal,
                stops=False,
                harms=True,
            )


def _clocks(fleet: Fleet) -> Iterator[Obstacle]:
    reported: set[str] = set()
    for process in fleet.processes:
        offset = process.clock_offset_seconds
        if not process.is_alive or offset is None or process.host in reported:
            continue
        if abs(offset) - process.clock_error_seconds > CLOCK_SECONDS:
            reported.add(process.host)
            yield Obstacle(
                Cause.CLOCKS_DIFFER,
                f"the clock of host {process.host} is {abs(offset):.1f} s "
                f"{'ahead of' if offset > 0 else 'behind'} that of Redis",
                "Synchronise the hosts' clocks (chrony, systemd-timesyncd).",
                stops=False,
            )


def _versions(fleet: Fleet, version: str) -> Iterator[Obstacle]:
    others: dict[str, list[str]] = {}
    for process in fleet.processes:
        if process.is_alive and process.version != version:
            others.setdefault(process.version, []).append(_who(process))
    for other, processes in sorted(others.items()):
        yield Obstacle(
            Cause.VERSIONS_DIFFER,
            f"{_listed(processes)} run{'s' * (len(processes) == 1)} version {other} of sisgate, "
            f"and this is {version}",
            "Run the same version everywhere.",
            stops=False,
        )


def _configurations(fleet: Fleet, newest: int | None) -> Iterator[Obstacle]:
    for process in fleet.processes:
        if not process.is_alive:
            continue
        who = _who(process)
        if newest is not None and process.configuration != newest:
            is_behind = process.configuration < newest
            yield Obstacle(
                Cause.CONFIGURATION_LAGS,
                f"{who} follows version {process.configuration} of the configuration, not {newest}",
                "A process follows within a second. See its log: can it reach Redis and the ledger?"
                if is_behind
                else "Does it use this ledger? Check its SISGATE_DATABASE_URL.",
                stops=False,
            )
        if process.not_understood:
            yield Obstacle(
                Cause.CONFIGURATION_NOT_UNDERSTOOD,
                f"{who}, of version {process.version}, cannot use a part of the configuration: "
                f"{'; '.join(process.not_understood)}",
                "It serves the rest. Run the same version of sisgate everywhere.",
                stops=False,
            )


def _files(
    fleet: Fleet, own_parts: Mapping[str, str], configuration: int | None
) -> Iterator[Obstacle]:
    """Yield who has settings that others have not, and that nothing makes them agree."""
    alive = [process for process in fleet.processes if process.is_alive]
    told = [(_who(each), each.configuration, each.parts) for each in alive if each.parts]
    if own_parts and configuration is not None:
        told.append((THIS_PROCESS, configuration, own_parts))
    yield from _differing(
        Cause.ACCESS_DIFFERS,
        [(who, _only(parts, ACCESS)) for who, _, parts in told],
        "the settings of {} differ from those of {}",
        "What one refuses, another may allow. Give every process the same settings, and restart "
        "those that have others.",
    )
    unversioned = [
        (who, {name: parts[name] for name in parts if name not in ACCESS})
        for who, version, parts in told
        if not version
    ]
    files = list(
        _differing(
            Cause.CONFIGURATION_FILES_DIFFER,
            unversioned,
            "the file of {} differs from that of {}",
            f"Limits and routes depend on who makes a call. {APPLY_ONE}",
        )
    )
    hosts = sorted({each.host for each in alive if not each.configuration})
    if not files and configuration == 0 and len(hosts) > 1:
        yield Obstacle(
            Cause.CONFIGURATION_UNVERSIONED,
            "the ledger has no version of the configuration: each process runs on its own file, on "
            f"{_listed(hosts)}",
            f"Limits hold only while the files agree, and a change needs restarts. {APPLY_ONE}",
            stops=False,
        )
    yield from files


def _differing(
    cause: Cause, told: Sequence[tuple[str, Mapping[str, str]]], words: str, remedy: str
) -> Iterator[Obstacle]:
    """Yield each group of processes with other parts than the largest group.

    It harms if they have another value of a part, and not if they only lack one.
    """
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for who, parts in told:
        groups.setdefault(tuple(sorted(parts.items())), []).append(who)
    if len(groups) < 2:
        return
    (most, usual), *others = sorted(groups.items(), key=lambda each: (-len(each[1]), each[1]))
    expected = dict(most)
    for deviating, processes in others:
        found = dict(deviating)
        names = sorted(
            name for name in {*expected, *found} if expected.get(name) != found.get(name)
        )
        harms = any(name in expected and name in found for name in names)
        yield Obstacle(
            cause,
            f"{words.format(_listed(processes), _listed(usual))} in {_listed(names)}",
            remedy,
            stops=False,
            harms=harms,
        )


def _only(parts: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: parts[name] for name in names if name in parts}


def _who(process: Heartbeat) -> str:
    return f"{process.name} on {process.host}"


def _listed(names: Sequence[str], most: int = 4) -> str:
    """Return names as a list in words.

    >>> _listed(["a", "b", "c"]), _listed(["a", "b", "c", "d", "e", "f"])
    ('a, b and c', 'a, b, c, d and 2 more')
    """
    shown = list(names[:most])
    last = f"{len(names) - most:,} more" if len(names) > most else shown.pop()
    return f"{', '.join(shown)} and {last}" if shown else last


def _absence(silent: Sequence[Heartbeat]) -> str:
    """Return how something is missing; `silent` are past heartbeats, the latest first.

    >>> beat = Heartbeat("id", "beat", "host", 1, "beat", "1", age_seconds=40.4)
    >>> _absence([beat]), _absence([])
    ('has not been seen for 40 s', 'is not running')
    """
    return f"has not been seen for {length(silent[0].age_seconds)}" if silent else "is not running"


def length(seconds: float) -> str:
    """Return a duration in seconds, minutes, or hours and minutes.

    >>> [length(s) for s in (40.4, 119, 120, 7260)]
    ['40 s', '119 s', '2 min', '2 h 1 min']
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
