"""Persons: who was given a person's data, when, and why."""

from typing import Any

from sisgate.console.forms import asked_by, since_of
from sisgate.console.rooms import ACTOR, Room, View, Visit
from sisgate.gateway import Action

room = Room()

MOST = 500


@room.finder("/disclosures", Action.ADMINISTER, "installation")
def disclosures(visit: Visit) -> View:
    """Show who was given a person's records, or responses with their data, the newest first."""
    names = ("provider", "person", "resource", "since")
    asked = {name: visit.asked(name).strip() for name in names}
    values: dict[str, Any] = {
        "asked": asked, "providers": visit.gateway.providers.names(), "found": None, "count": 0,
    }  # fmt: skip
    if asked["provider"] and asked["person"]:
        with asked_by("provider"):
            found = visit.gateway.audit.disclosures(
                asked["provider"], asked["person"], actor=ACTOR, resource=asked["resource"] or None,
                since=since_of(asked["since"], visit.now),
            )  # fmt: skip
        values |= {"found": list(reversed(found))[:MOST], "count": len(found)}
    return View("disclosures.html", "Disclosures of a person", values)
