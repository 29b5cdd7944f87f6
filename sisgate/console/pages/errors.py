"""Error patterns: what fails how often, and what is taken to be fixed."""

from datetime import timedelta

from sisgate.console.acts import REASON, FormField, act_view
from sisgate.console.forms import since_of
from sisgate.console.rooms import ACTOR, Done, Room, View, Visit
from sisgate.console.templates import address
from sisgate.errors import NotFound
from sisgate.gateway import Action

room = Room()

MOST = 100
TEN_MINUTES = timedelta(minutes=10)
SPANS = (("1h", "the last hour"), ("24h", "the last day"), ("7d", "the last 7 days"))
STATES = {"open": ("open",), "resolved": ("resolved",), "any": ("open", "resolved")}


@room.page("/errors", Action.LOOK, "anywhere")
def errors(visit: Visit) -> View:
    """Show the patterns that match, the one that was seen last first."""
    asked = {name: visit.query.get(name, "").strip() for name in ("provider", "state", "since")}
    states = STATES.get(asked["state"], STATES["open"])
    found = visit.gateway.errors.list(
        states=states, provider=asked["provider"] or None,
        since=since_of(asked["since"], visit.now), limit=MOST,
    )  # fmt: skip
    values = {
        "errors": found, "asked": asked, "spans": SPANS, "states": STATES,
        "is_cut": len(found) == MOST,
    }  # fmt: skip
    return View("errors.html", "Error patterns", values)


@room.page("/errors/{pattern}", Action.LOOK, "anywhere")
def error(visit: Visit) -> View:
    """Show one, how often it came, and where to find jobs that show it."""
    part = visit.gateway.errors
    it = part.get(visit.places["pattern"])
    counts = part.history(it.id)
    first = visit.now - timedelta(minutes=visit.now.minute % 10, hours=24)
    every = [first.replace(second=0, microsecond=0) + n * TEN_MINUTES for n in range(1, 145)]
    numbers = [counts.get(begin, 0) for begin in every]
    series = [{"label": "errors", "tone": "bad", "dash": [], "values": numbers}]
    plot = {"times": [int(begin.timestamp()) for begin in every], "series": series}
    jobs = address("/jobs", q=f"provider:{it.provider} error:{it.code} since:7d")
    values = {
        "it": it, "plot": plot, "jobs": jobs, "may": visit.allows(Action.CONTROL, it.provider)
    }  # fmt: skip
    return View("error_pattern.html", f"Error of {it.provider}", values)


@room.page("/errors/{pattern}/{act}", Action.CONTROL, "anywhere")
def act_form(visit: Visit) -> View:
    """Ask before marking one as fixed, or as not."""
    it = visit.gateway.errors.get(visit.places["pattern"])
    back = f"/errors/{it.id}"
    what = f"{it.provider}: {it.message}"
    if visit.places["act"] == "resolve":
        text = "It leaves the list. If it comes back, it is open again, and an alert tells so."
        field = FormField("fixed_in", "Fixed in", "Such as: their release 12.4, or our version.")
        return act_view("Mark as fixed", [what, text], field, submit="Mark as fixed", back=back)
    if visit.places["act"] == "reopen":
        text = "It is among the open ones again."
        return act_view("Reopen", [what, text], REASON, submit="Reopen", back=back)
    raise NotFound("There is no such page.")


@room.action("/errors/{pattern}/{act}", Action.CONTROL, "anywhere")
def act(visit: Visit) -> Done:
    """Mark one as fixed, or as not."""
    part, pattern = visit.gateway.errors, visit.places["pattern"]
    if visit.places["act"] == "resolve":
        fixed_in = visit.form.get("fixed_in", "").strip() or None
        it = part.resolve(pattern, fixed_in=fixed_in, actor=ACTOR)
        return Done(f"/errors/{it.id}", "Marked as fixed. If it comes back, it is open again.")
    if visit.places["act"] == "reopen":
        it = part.reopen(pattern, reason=visit.reason, actor=ACTOR)
        return Done(f"/errors/{it.id}", "It is open again.")
    raise NotFound("There is no such page.")
