"""Webhooks: whether apps are told, pausing or resuming one, and sending events again."""

from sisgate.console.acts import REASON, FormField, act_view
from sisgate.console.forms import number_of
from sisgate.console.rooms import ACTOR, Done, Room, View, Visit
from sisgate.domain.figures import counted
from sisgate.domain.webhook_events import MessageState
from sisgate.errors import NotFound
from sisgate.gateway import Action

room = Room()

SIZE = 50


@room.page("/webhooks", Action.ENQUEUE, "anywhere")
def webhooks(visit: Visit) -> View:
    """Show the webhooks that the visitor may see."""
    return View("webhooks.html", "Webhooks", {"webhooks": visit.gateway.webhooks.list()})


@room.page("/webhooks/{webhook}", Action.ENQUEUE, "anywhere")
def webhook(visit: Visit) -> View:
    """Show one, and what became of its newest events."""
    part, webhook_id = visit.gateway.webhooks, visit.places["webhook"]
    state, before = visit.query.get("state") or None, visit.query.get("before") or None
    number = number_of(before, "before") if before is not None else None
    it = part.show(webhook_id)
    found = part.deliveries(webhook_id, state=state, before=number, limit=SIZE)
    values = {
        "it": it, "deliveries": found, "state": state, "before": number,
        "states": [each.value for each in MessageState],
        "following": found[-1].event.number if len(found) == SIZE else None,
    }  # fmt: skip
    return View("webhook.html", f"Webhook of {it.app}", values)


@room.page("/webhooks/{webhook}/{act}", Action.ENQUEUE, "anywhere")
def act_form(visit: Visit) -> View:
    """Ask before pausing or resuming one, or sending events again."""
    info, act = visit.gateway.webhooks.show(visit.places["webhook"]), visit.places["act"]
    back = f"/webhooks/{info.id}"
    if act == "pause":
        text = f"{info.app} is told nothing until it is resumed. Events wait and keep their order."
        return act_view("Pause the webhook", [text], REASON, submit="Pause", back=back)
    if act == "resume":
        text = f"{info.app} is told what has happened meanwhile, {counted(info.waiting, 'event')}."
        return act_view("Resume the webhook", [text], REASON, submit="Resume", back=back)
    if act == "redeliver":
        number = visit.asked("number")
        what = f"Event {number} is" if number else f"{counted(info.dead, 'dead letter')} are"
        text = (
            f"{what} sent to {info.app} again, with the same id, and tried for as long as a new "
            "one. A receiver that has handled it does nothing."
        )
        which = FormField("number", "", kind="hidden", value=number)
        return act_view("Send again", [text], which, REASON, submit="Send again", back=back)
    raise NotFound("There is no such page.")


@room.action("/webhooks/{webhook}/{act}", Action.ENQUEUE, "anywhere")
def act(visit: Visit) -> Done:
    """Pause or resume one, or send events again."""
    webhook_id, part = visit.places["webhook"], visit.gateway.webhooks
    back = f"/webhooks/{webhook_id}"
    if visit.places["act"] == "pause":
        part.pause(webhook_id, actor=ACTOR, reason=visit.reason)
        return Done(back, "The webhook is paused.")
    if visit.places["act"] == "resume":
        part.resume(webhook_id, actor=ACTOR, reason=visit.reason)
        return Done(back, "The webhook goes on.")
    if visit.places["act"] == "redeliver":
        number = number_of(visit.form["number"], "number") if visit.form.get("number") else None
        count = part.redeliver(webhook_id, number, actor=ACTOR, reason=visit.reason)
        return Done(back, f"Sent again: {counted(count, 'event')}.")
    raise NotFound("There is no such page.")
