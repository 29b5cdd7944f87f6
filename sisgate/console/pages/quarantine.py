"""Messages that no worker could handle."""

from sisgate.console.acts import REASON, act_view
from sisgate.console.rooms import ACTOR, Done, Room, View, Visit
from sisgate.errors import NotFound
from sisgate.gateway import Action

room = Room()


@room.page("/quarantine", Action.LOOK, "installation")
def messages(visit: Visit) -> View:
    """Show the messages, without their content."""
    values = {"messages": visit.gateway.quarantine.list(), "may": visit.allows(Action.CONTROL)}
    return View("quarantine.html", "Quarantine", values)


@room.page("/quarantine/{message}/{act}", Action.CONTROL, "installation")
def act_form(visit: Visit) -> View:
    """Ask before requeuing or dropping one."""
    it = visit.gateway.quarantine.show(visit.places["message"])
    what = f"A message of the queue {it['queue']}, {it['bytes']:,} bytes: {it['reason']}"
    match visit.places["act"]:
        case "requeue":
            text = "It returns to its queue. If still no worker can handle it, it comes back here."
            return act_view("Requeue the message", [what, text], REASON, submit="Requeue",
                            back="/quarantine")  # fmt: skip
        case "drop":
            text = "It is deleted. This cannot be undone."
            return act_view("Drop the message", [what, text], REASON, submit="Drop",
                            back="/quarantine", danger=True)  # fmt: skip
    raise NotFound("There is no such page.")


@room.action("/quarantine/{message}/{act}", Action.CONTROL, "installation")
def act(visit: Visit) -> Done:
    """Requeue or drop one."""
    message, quarantine = visit.places["message"], visit.gateway.quarantine
    match visit.places["act"]:
        case "requeue":
            queue = quarantine.requeue(message, actor=ACTOR, reason=visit.reason)
            return Done("/quarantine", f"The message is in the queue {queue} again.")
        case "drop":
            quarantine.drop(message, actor=ACTOR, reason=visit.reason)
            return Done("/quarantine", "The message is deleted.")
    raise NotFound("There is no such page.")
