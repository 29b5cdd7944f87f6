"""The processes of the fleet: workers and beat, by their heartbeats."""

from sisgate.console.rooms import Room, View, Visit
from sisgate.gateway import Action

room = Room()


@room.page("/processes", Action.LOOK, "anywhere")
def processes(visit: Visit) -> View:
    """Show who is alive, what they serve, and what keeps jobs from running."""
    liveness = visit.gateway.fleet.liveness()
    return View(
        "processes.html", "Processes", {"fleet": liveness.fleet, "obstacles": liveness.obstacles}
    )
