"""The audit log: searching it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sisgate.console.rooms import Room, View, Visit
from sisgate.domain.moments import parse_duration
from sisgate.errors import UsageError
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
        since=_since(asked["since"], visit.now),
    )  # fmt: skip
    events = visit.gateway.audit.tail(wanted, limit=MOST)
    return View("audit.html", "Audit log", {"events": events, "asked": asked, "fields": FIELDS})


def _since(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        return now - min(parse_duration(text), timedelta(days=3650))
    except ValueError as error:
        raise UsageError(f"since: {error}.") from None
