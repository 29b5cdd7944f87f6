"""The overview: what needs attention first, then how the work goes."""

from __future__ import annotations

from sisgate.console.rooms import Room, View, Visit
from sisgate.gateway import Action, Attention

room = Room()

_PLACES = {
    "fleet": "/processes", "held": "/held", "dead": "/jobs?q=is%3Adead",
    "unknown": "/jobs?q=state%3Aunknown", "quarantine": "/quarantine",
}  # fmt: skip


@room.page("/", Action.LOOK, "anywhere")
def overview(visit: Visit) -> View:
    """Show the fleet at a glance."""
    board = visit.gateway.fleet.dashboard()
    links = [place_of(each) for each in board.attention]
    return View("overview.html", "Overview", {"board": board, "links": links})


def place_of(attention: Attention) -> str:
    """Return where to look at what needs attention."""
    if attention.provider is not None:
        return f"/providers/{attention.provider}"
    return _PLACES.get(attention.subject, "/providers")
