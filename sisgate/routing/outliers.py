"""Which endpoints fail more than the others and get no calls for a while. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RoutingSpec:
    """How the endpoints' track records are used.

    An endpoint is an outlier when it was called at least `minimum_calls` times over the last
    `window_seconds` and failed at least `failure_share` of them, and at least twice the share of
    the others. It is ejected for `eject_seconds`, twice as long each time in a row, at most
    `eject_cap_seconds`. At most the share `most_ejected` of a provider's endpoints is ejected at
    once, but always one if there are two, and never all. `decay_seconds` is the time constant of
    the latency's EWMA.
    """

    slow_start_seconds: float = 30.0
    decay_seconds: float = 10.0
    minimum_calls: int = 10
    failure_share: float = 0.3
    window_seconds: float = 60.0
    eject_seconds: float = 30.0
    eject_cap_seconds: float = 300.0
    most_ejected: float = 0.5
    check_fall: int = 3
    check_rise: int = 2


@dataclass(frozen=True, slots=True)
class EndpointHistory:
    """The recent calls of one endpoint."""

    url: str
    calls: int = 0
    failures: int = 0
    ejections: int = 0
    ejected: bool = False


def most_ejected(endpoints: int, share: float) -> int:
    """Return how many of `endpoints` may be ejected at once.

    >>> [most_ejected(n, 0.5) for n in (1, 2, 3, 4, 10)]
    [0, 1, 1, 2, 5]
    >>> most_ejected(5, 0.1), most_ejected(3, 1.0)
    (1, 2)
    """
    return min(endpoints - 1, max(1, math.floor(endpoints * share)))


def outliers(records: Sequence[EndpointHistory], spec: RoutingSpec) -> list[EndpointHistory]:
    """Return the endpoints to eject now, worst first, within the cap.

    >>> spec = RoutingSpec()
    >>> good, bad = (
    ...     EndpointHistory("a", calls=50, failures=1),
    ...     EndpointHistory("b", calls=20, failures=9),
    ... )
    >>> [record.url for record in outliers([good, bad], spec)]
    ['b']
    >>> outliers([EndpointHistory("a", calls=50, failures=30), bad], spec)
    []
    """
    room = most_ejected(len(records), spec.most_ejected) - sum(r.ejected for r in records)
    worst = [r for r in records if not r.ejected and _is_outlier(r, records, spec)]
    worst.sort(key=lambda r: r.failures / r.calls, reverse=True)
    return worst[: max(0, room)]


def eject_seconds(spec: RoutingSpec, ejections: int) -> float:
    """Return how long the n-th ejection in a row lasts.

    >>> [eject_seconds(RoutingSpec(), n) for n in (1, 2, 9)]
    [30.0, 60.0, 300.0]
    """
    return float(min(spec.eject_cap_seconds, spec.eject_seconds * 2.0 ** min(ejections - 1, 30)))


def _is_outlier(
    record: EndpointHistory, records: Sequence[EndpointHistory], spec: RoutingSpec
) -> bool:
    if record.calls < spec.minimum_calls:
        return False
    share = record.failures / record.calls
    others = [other for other in records if other is not record and not other.ejected]
    calls = sum(other.calls for other in others)
    theirs = sum(other.failures for other in others) / calls if calls else 0.0
    return bool(others) and share >= spec.failure_share and share >= 2 * theirs
