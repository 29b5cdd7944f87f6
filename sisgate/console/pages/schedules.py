"""Schedules: when what is synced, how it went, and a run now."""

from sisgate.console.acts import REASON, act_view
from sisgate.console.rooms import Done, Room, View, Visit
from sisgate.domain.figures import counted
from sisgate.gateway import Action

room = Room()


@room.page("/schedules", Action.LOOK, "anywhere")
def schedules(visit: Visit) -> View:
    """Show the schedules with their next start and the last jobs."""
    found = visit.gateway.schedules.list()
    can = visit.gateway.access
    may = {
        each.name for each in found if all(can.allows(Action.CONTROL, name) for name in each.starts)
    }
    return View("schedules.html", "Schedules", {"schedules": found, "may": may})


@room.page("/schedules/{schedule}/run", Action.CONTROL, "anywhere")
def run_form(visit: Visit) -> View:
    """Ask before a run now."""
    found = visit.gateway.schedules.get(visit.places["schedule"])
    count = len(found.starts)
    providers = counted(count, "provider")
    return act_view(
        f"Run {found.name} now",
        [
            (f"Syncs {', '.join(found.resources) or 'what is offered'} of {providers}, due or not. "
            f"The next run stays where it is."),
        ],
        REASON, submit="Run now", back="/schedules",
    )  # fmt: skip


@room.action("/schedules/{schedule}/run", Action.CONTROL, "anywhere")
def run(visit: Visit) -> Done:
    """Run it now."""
    name = visit.places["schedule"]
    jobs = visit.gateway.schedules.run(name, reason=visit.reason)
    return Done(
        "/schedules",
        f"{name} runs: {counted(len(jobs), 'sync')} {'is' if len(jobs) == 1 else 'are'} accepted.",
    )
