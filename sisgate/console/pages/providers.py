"""Providers: all of them, and one."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from sisgate.console.forms import number_of
from sisgate.console.rooms import Room, View, Visit
from sisgate.errors import BrokerUnavailable
from sisgate.gateway import Action

room = Room()

SORTS = ("name", "kind", "pool", "waiting")
HOURS = 24


@room.page("/providers", Action.LOOK, "anywhere")
def providers(visit: Visit) -> View:
    """Show a page of the providers: search, filter, sort."""
    query = visit.query
    asked = {name: query.get(name, "") for name in ("q", "kind", "pool", "sort")}
    sort = asked["sort"] if asked["sort"] in SORTS else "name"
    found = visit.gateway.providers.search(
        asked["q"], kind=asked["kind"] or None, pool=asked["pool"] or None, sort=sort,
        page=number_of(query.get("page", "1"), "page"),
    )  # fmt: skip
    values = {"found": found, "asked": asked | {"sort": sort}, "sorts": SORTS}
    return View("providers.html", "Providers", values)


@room.page("/providers/{provider}", Action.LOOK, "part of provider")
def provider(visit: Visit) -> View:
    """Show a provider: quota, backlog, endpoints, keys, usage, and what one can do."""
    name = visit.places["provider"]
    gateway = visit.gateway
    overview = gateway.providers.overview(name)
    values: dict[str, Any] = {
        "it": overview.providers[0], "unknown": overview.unknown, "hold": None, "queue": None,
        "shape": (), "why": gateway.why(name), "keys": None, "plot": _usage(visit, name),
        "may_control": visit.allows(Action.CONTROL, name),
        "may_keys": visit.allows(Action.KEYS, name),
        "jobs": gateway.jobs.search(f"provider:{name}", limit=8),
    }  # fmt: skip
    with suppress(BrokerUnavailable):
        values |= {
            "hold": gateway.providers.hold(name), "queue": gateway.providers.queue(name),
            "shape": gateway.providers.window_shape(name),
        }  # fmt: skip
    if values["may_keys"]:
        values["keys"] = gateway.keys.of(name).usage()
    return View("provider.html", name, values)


def _usage(visit: Visit, name: str) -> dict[str, Any]:
    """Return calls by hour, as the plot and its table take them."""
    now = visit.now.replace(minute=0, second=0, microsecond=0)
    hours = [now - timedelta(hours=back) for back in reversed(range(HOURS))]
    usage = visit.gateway.providers.usage(name, since=hours[0], by="hour")
    sums = {hour: [0, 0, 0] for hour in hours}
    for each in usage:
        if each.begin in sums:
            for place, count in enumerate((each.calls, each.failed, each.throttled)):
                sums[each.begin][place] += count
    columns = list(zip(*sums.values(), strict=True))
    labels: tuple[tuple[str, str, list[int]], ...] = (
        ("calls", "link", []), ("failed", "bad", [6, 3]), ("throttled", "warn", [2, 2]),
    )  # fmt: skip
    series = [
        {"label": label, "tone": tone, "dash": dash, "values": list(values)}
        for (label, tone, dash), values in zip(labels, columns, strict=True)
    ]
    return {"times": [int(hour.timestamp()) for hour in hours], "series": series}
