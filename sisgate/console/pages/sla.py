"""Service levels: objectives, what is left of their error budgets, and the monthly report."""

from sisgate.console.forms import number_of
from sisgate.console.rooms import Printable, Room, View, Visit
from sisgate.gateway import Action
from sisgate.gateway.sla import ProviderSla

room = Room()

SIZE = 50
SPANS = {"1h": "The last hour", "24h": "The last 24 hours", "30d": "The last 30 days"}


@room.page("/sla", Action.LOOK, "anywhere")
def service_levels(visit: Visit) -> View:
    """Show the providers, those first whose budget is nearest to its end."""
    words = visit.query.get("q", "").strip()
    page = max(1, number_of(visit.query.get("page", "1"), "page"))
    found = [each for each in visit.gateway.sla.list() if words.lower() in each.name.lower()]
    found.sort(key=lambda each: (_least(each), each.name))
    values = {
        "q": words, "page": page, "pages": -(-len(found) // SIZE), "count": len(found),
        "found": found[(page - 1) * SIZE : page * SIZE],
    }  # fmt: skip
    return View("sla.html", "Service levels", values)


def _least(of: ProviderSla) -> float:
    left = of.least.budget_left if of.least else None
    return 2.0 if left is None else left


@room.page("/sla/{provider}", Action.LOOK, "part of provider")
def service_level(visit: Visit) -> View:
    """Show one provider's, for each span."""
    it = visit.gateway.sla.of(visit.places["provider"])
    return View("service_level.html", f"Service levels of {it.name}", {"it": it, "spans": SPANS,
                "month": f"{visit.now:%Y-%m}"})  # fmt: skip


@room.page("/sla/{provider}/report", Action.LOOK, "part of provider")
def report(visit: Visit) -> Printable:
    """Show a month's report, to print."""
    month = visit.query.get("month") or None
    return Printable(visit.gateway.sla.report(visit.places["provider"], month))
