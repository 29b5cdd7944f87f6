"""Alerts: what fires, looking after it, and silences."""

from sisgate.console.acts import REASON, FormField, act_view
from sisgate.console.forms import asked_by, time_of
from sisgate.console.rooms import ACTOR, Done, Room, View, Visit
from sisgate.errors import UsageError
from sisgate.gateway import Action

room = Room()


@room.page("/alerts", Action.LOOK, "anywhere")
def alerts(visit: Visit) -> View:
    """Show the alerts that have not ended, the worst first, and the silences."""
    part, can = visit.gateway.alerts, visit.gateway.access
    states = ["resolved"] if visit.query.get("state") == "resolved" else []
    found = part.list(states=states)
    may = {each.id for each in found if can.allows(Action.CONTROL, each.provider)}
    silences = part.silences()
    channels = part.channels() if can.allows(Action.CONTROL) else []
    values = {
        "channels": [each for each in channels if each.last_error],
        "alerts": found, "may": may, "silences": silences, "is_past": bool(states),
        "may_end": {each.id for each in silences if can.allows(Action.CONTROL, each.provider)},
    }  # fmt: skip
    return View("alerts.html", "Alerts", values)


@room.page("/alerts/{alert}/ack", Action.CONTROL, "anywhere")
def ack_form(visit: Visit) -> View:
    """Ask before acknowledging one."""
    alert = visit.gateway.alerts.get(visit.places["alert"])
    return act_view(
        "Acknowledge the alert",
        [f"{alert.message}.", "You look after it: nothing more is sent until it has ended."],
        FormField("note", "Note", "What you do about it."), submit="Acknowledge", back="/alerts",
    )  # fmt: skip


@room.action("/alerts/{alert}/ack", Action.CONTROL, "anywhere")
def ack(visit: Visit) -> Done:
    """Acknowledge one."""
    note = visit.form.get("note", "").strip()[:500] or None
    alert = visit.gateway.alerts.ack(visit.places["alert"], actor=ACTOR, note=note)
    return Done("/alerts", f"You look after it: {alert.message}.")


@room.page("/alerts/{alert}/silence", Action.CONTROL, "anywhere")
def silence_form(visit: Visit) -> View:
    """Ask until when to silence what an alert is about."""
    alert = visit.gateway.alerts.get(visit.places["alert"])
    place = f" of {alert.provider}" if alert.provider else ""
    return act_view(
        "Silence alerts",
        [(f"No messages are sent for the rule {alert.rule}{place} until then. What still fires "
         "when the silence ends is sent.")],
        FormField("until", "Until", "A duration such as 2h, or a time (UTC).", value="2h",
                  required=True),
        REASON, submit="Silence", back="/alerts",
    )  # fmt: skip


@room.action("/alerts/{alert}/silence", Action.CONTROL, "anywhere")
def silence(visit: Visit) -> Done:
    """Silence a rule of a provider."""
    part = visit.gateway.alerts
    alert = part.get(visit.places["alert"])
    until = time_of(visit.form, "until", visit.now)
    if until is None:
        raise UsageError("A silence needs an end.", field="until")
    with asked_by("until"):
        part.silence(
            until, rule=alert.rule, provider=alert.provider, actor=ACTOR, reason=visit.reason
        )
    return Done("/alerts", f"{alert.rule} is silent until {until:%Y-%m-%d %H:%M} UTC.")


@room.page("/silences/{silence}/end", Action.CONTROL, "anywhere")
def unsilence_form(visit: Visit) -> View:
    """Ask before ending a silence."""
    text = f"The silence {visit.places['silence']} ends now, and what still fires is sent."
    return act_view("End the silence", [text], REASON, submit="End it", back="/alerts")


@room.action("/silences/{silence}/end", Action.CONTROL, "anywhere")
def unsilence(visit: Visit) -> Done:
    """End a silence."""
    visit.gateway.alerts.unsilence(visit.places["silence"], actor=ACTOR, reason=visit.reason)
    return Done("/alerts", "The silence has ended.")
