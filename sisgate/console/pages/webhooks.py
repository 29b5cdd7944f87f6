"""Webhooks: whether apps are told, and pausing or resuming one."""

from __future__ import annotations

from sisgate.console.acts import REASON, act_view
from sisgate.console.rooms import ACTOR, Done, Room, View, Visit
from sisgate.errors import NotFound
from sisgate.gateway import Action

room = Room()


@room.page("/webhooks", Action.ENQUEUE, "anywhere")
def webhooks(visit: Visit) -> View:
    """Show the webhooks that the visitor may see."""
    return View("webhooks.html", "Webhooks", {"webhooks": visit.gateway.webhooks.list()})


@room.page("/webhooks/{webhook}/{act}", Action.ENQUEUE, "anywhere")
def act_form(visit: Visit) -> View:
    """Ask before pausing or resuming one."""
    info, act = visit.gateway.webhooks.show(visit.places["webhook"]), visit.places["act"]
    if act == "pause":
        text = f"{info.app} is told nothing until it is resumed. Events wait and keep their order."
        return act_view("Pause the webhook", [text], REASON, submit="Pause", back="/webhooks")
    if act == "resume":
        text = f"{info.app} is told what has happened meanwhile, {info.waiting:,} events."
        return act_view("Resume the webhook", [text], REASON, submit="Resume", back="/webhooks")
    raise NotFound("There is no such page.")


@room.action("/webhooks/{webhook}/{act}", Action.ENQUEUE, "anywhere")
def act(visit: Visit) -> Done:
    """Pause or resume one."""
    webhook, part = visit.places["webhook"], visit.gateway.webhooks
    if visit.places["act"] == "pause":
        part.pause(webhook, actor=ACTOR, reason=visit.reason)
        return Done("/webhooks", "The webhook is paused.")
    if visit.places["act"] == "resume":
        part.resume(webhook, actor=ACTOR, reason=visit.reason)
        return Done("/webhooks", "The webhook goes on.")
    raise NotFound("There is no such page.")
