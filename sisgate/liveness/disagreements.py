"""What the processes of the fleet disagree about: clocks, versions, configuration. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sisgate.configuration.parts import ACCESS
from sisgate.liveness.heartbeats import Fleet
from sisgate.liveness.obstacles import Cause, Obstacle, listed

APPLY_ONE = "Apply one file for all with `sisgate config apply`; every process follows it at once."

THIS_PROCESS = "this process"

CLOCK_SECONDS = 1.0
"""Hosts whose clocks differ from Redis's by more than this are reported."""


def disagreements(
    fleet: Fleet, version: str, configuration: int | None, own_parts: Mapping[str, str]
) -> Iterator[Obstacle]:
    """Yield what differs between processes. Jobs go on; arguments as of `obstacles_of`."""
    yield from _clocks(fleet)
    yield from _versions(fleet, version)
    yield from _configurations(fleet, configuration)
    yield from _files(fleet, own_parts, configuration)


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
            others.setdefault(process.version, []).append(str(process))
    for other, processes in sorted(others.items()):
        yield Obstacle(
            Cause.VERSIONS_DIFFER,
            f"{listed(processes)} run{'s' * (len(processes) == 1)} version {other} of sisgate, "
            f"and this is {version}",
            "Run the same version everywhere.",
            stops=False,
        )


def _configurations(fleet: Fleet, newest: int | None) -> Iterator[Obstacle]:
    for process in fleet.processes:
        if not process.is_alive:
            continue
        if newest is not None and process.configuration != newest:
            is_behind = process.configuration < newest
            yield Obstacle(
                Cause.CONFIGURATION_LAGS,
                f"{process} follows version {process.configuration} of the configuration, not "
                f"{newest}",
                "A process follows within a second. See its log: can it reach Redis and the ledger?"
                if is_behind
                else "Does it use this ledger? Check its SISGATE_DATABASE_URL.",
                stops=False,
            )
        if process.not_understood:
            yield Obstacle(
                Cause.CONFIGURATION_NOT_UNDERSTOOD,
                f"{process}, of version {process.version}, cannot use a part of the configuration: "
                f"{'; '.join(process.not_understood)}",
                "It serves the rest. Run the same version of sisgate everywhere.",
                stops=False,
            )


def _files(
    fleet: Fleet, own_parts: Mapping[str, str], configuration: int | None
) -> Iterator[Obstacle]:
    """Yield who has settings that others have not, and that nothing makes them agree."""
    alive = [process for process in fleet.processes if process.is_alive]
    told = [(str(each), each.configuration, each.parts) for each in alive if each.parts]
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
            f"{listed(hosts)}",
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
            f"{words.format(listed(processes), listed(usual))} in {listed(names)}",
            remedy,
            stops=False,
            harms=harms,
        )


def _only(parts: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: parts[name] for name in names if name in parts}
