"""What could stand next in the filter of jobs."""

from collections.abc import Callable, Iterable, Mapping

from sisgate.console.rooms import Visit
from sisgate.domain.job_filter import QUALIFIERS, VALUES

MOST = 12


def _resources(visit: Visit) -> Iterable[str]:
    providers = visit.gateway.providers
    names = providers.names()[:50]  # their kinds repeat
    return sorted({each for name in names for each in providers.get(name).dialect_class.resources})


_VALUES: Mapping[str, Callable[[Visit], Iterable[str]]] = {
    "provider": lambda visit: visit.gateway.providers.names(),
    "resource": _resources,
}


def suggestions_for(visit: Visit, word: str) -> list[str]:
    """Return up to `MOST` words that begin or contain what was typed."""
    name, colon, value = word.partition(":")
    if not colon:
        return [f"{each}:" for each in QUALIFIERS if each.startswith(word)]
    values = list(_VALUES[name](visit) if name in _VALUES else VALUES.get(name, ()))
    beginning = [each for each in values if each.startswith(value)]
    within = [each for each in values if value in each and each not in beginning]
    return [f"{name}:{each}" for each in [*beginning, *within] if f"{name}:{each}" != word][:MOST]
