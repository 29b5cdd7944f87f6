"""The choice of an endpoint. Pure: configuration and a number in, an endpoint out."""

from __future__ import annotations

from collections.abc import Sequence

from sisgate.settings import Endpoint


def choose(endpoints: Sequence[Endpoint], ticket: int, tries: int = 0) -> Endpoint:
    """Return the endpoint of a call, in proportion to the weights over consecutive tickets.

    Each of the call's earlier `tries` failed where it went, so it moves on to the next endpoint.

    >>> a, b = Endpoint(url="https://a.test", weight=2), Endpoint(url="https://b.test")
    >>> [choose([a, b], ticket).url[8] for ticket in range(6)]
    ['a', 'a', 'b', 'a', 'a', 'b']
    >>> choose([a, b], ticket=0, tries=1) is b
    True
    """
    place = ticket % sum(endpoint.weight for endpoint in endpoints)
    first = 0
    while place >= endpoints[first].weight:
        place -= endpoints[first].weight
        first += 1
    return endpoints[(first + tries) % len(endpoints)]
