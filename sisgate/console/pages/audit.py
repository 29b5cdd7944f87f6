"""The audit log: searching it."""

from sisgate.console.forms import since_of
from sisgate.console.rooms import Room, View, Visit
from sisgate.gateway import Action, AuditFilter

room = Room()

FIELDS = ("actor", "action", "subject", "provider", "job")
MOST = 100


@room.page("/audit", Action.ADMINISTER, "installation")
def audit(visit: Visit) -> View:
    """Show the newest events that match."""
    asked = {name: visit.query.get(name, "").strip() for name in (*FIELDS, "since")}
    wanted = AuditFilter(
        actor=asked["actor"] or None, action=asked["action"] or None,
        subjects=[asked["subject"]] if asked["subject"] else (),
        provider=asked["provider"] or None, job=asked["job"] or None,
        since=since_of(asked["since"], visit.now),
    )  # fmt: skip
    events = visit.gateway.audit.tail(wanted, limit=MOST)
    return View("audit.html", "Audit log", {"events": events, "asked": asked, "names": FIELDS})
