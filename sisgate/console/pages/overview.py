"""The overview: what needs attention first, then how the work goes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sisgate.console.rooms import Room, View, Visit
from sisgate.gateway import Action, Attention

room = Room()

MOST = 30

_PATHS = {
    "fleet": "/processes", "held": "/held", "dead": "/jobs?q=is%3Adead",
    "unknown": "/jobs?q=state%3Aunknown", "quarantine": "/quarantine", "webhooks": "/webhooks",
    "alerts": "/alerts", "configuration": "/configuration",
}  # fmt: skip


@dataclass(frozen=True)
class Showing:
    """Where to look at what needs attention; `id` names it while the list around it changes."""

    id: str
    path: str


@room.page("/", Action.LOOK, "anywhere")
def overview(visit: Visit) -> View:
    """Show the fleet at a glance."""
    board = visit.gateway.fleet.dashboard()
    places = list(_places(board.attention))
    return View("overview.html", "Overview", {"board": board, "places": places, "most": MOST})


def _places(needed: Sequence[Attention]) -> Iterator[Showing]:
    seen: Counter[str] = Counter()
    for each in needed:
        name = f"{each.subject}-{each.provider or ''}"
        seen[name] += 1
        path = _PATHS.get(each.subject, "/providers")
        yield Showing(
            f"{name}-{seen[name]}", f"/providers/{each.provider}" if each.provider else path
        )
