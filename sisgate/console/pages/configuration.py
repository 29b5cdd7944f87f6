"""The configuration's versions: what changed, by whom, and rolling back."""

import json

from sisgate.console.acts import REASON, FormField, act_view
from sisgate.console.forms import number_of
from sisgate.console.rooms import ACTOR, Done, Room, View, Visit
from sisgate.console.templates import setting
from sisgate.gateway import Action, TableChange

room = Room()

MOST_SHOWN = 100_000
"""Characters of a version that are shown with its changes; a longer one is asked for."""


@room.page("/configuration", Action.LOOK, "installation")
def versions(visit: Visit) -> View:
    """Show the newest versions."""
    history = visit.gateway.configuration.history(limit=100)
    values = {"versions": history, "may": visit.allows(Action.ADMINISTER)}
    return View("configuration.html", "Configuration", values)


@room.page("/configuration/{number}", Action.LOOK, "installation")
def version(visit: Visit) -> View:
    """Show a version: what it changed, how it differs from the one in force, and the whole."""
    configuration, number = visit.gateway.configuration, _number(visit)
    stored = configuration.show(number)
    newest = configuration.show().info.number
    base = stored.info.based_on
    text = json.dumps(stored.document, indent=2, ensure_ascii=False, default=str)
    values = {
        "it": stored.info, "newest": newest,
        "made": configuration.diff(base, number) if base else [],
        "since": configuration.diff(number) if number != newest else [],
        "text": text if len(text) <= MOST_SHOWN or visit.query.get("whole") == "yes" else None,
        "may": visit.allows(Action.ADMINISTER),
    }  # fmt: skip
    return View("version.html", f"Version {number}", values)


@room.page("/configuration/{number}/rollback", Action.ADMINISTER, "installation")
def rollback_form(visit: Visit) -> View:
    """Show what rolling back would change, and ask for the reason."""
    number = _number(visit)
    plan = visit.gateway.configuration.plan_rollback(number)
    lines = [
        (
            f"A new version with the content of version {number} comes into force within a second, "
            f"for all processes. It is based on version {plan.base}."
        )
    ]
    lines += [_told(change) for change in plan.changes] or ["Nothing differs."]
    lines += [
        f"{count:,} waiting jobs of {name} would end as cancelled."
        for name, count in plan.cancels.items()
        if count
    ]
    lines += plan.lost_messages
    base = FormField("based_on", "", kind="hidden", value=str(plan.base))
    return act_view(
        f"Roll back to version {number}", lines, base, REASON, submit="Roll back",
        back=f"/configuration/{number}", danger=bool(plan.cancels),
    )  # fmt: skip


@room.action("/configuration/{number}/rollback", Action.ADMINISTER, "installation")
def rollback(visit: Visit) -> Done:
    """Apply an earlier version's content as a new one, unless another came meanwhile."""
    number, configuration = _number(visit), visit.gateway.configuration
    based_on = number_of(visit.form.get("based_on", "0"), "based_on")
    document = configuration.show(number).document
    applied = configuration.apply(
        document, actor=ACTOR, reason=visit.reason or f"rolled back to version {number}",
        based_on=based_on or None,
    )  # fmt: skip
    new = applied.version.number
    text = f"Version {new} is in force." if applied.is_new else "Nothing differed."
    return Done(f"/configuration/{new}", text)


def _number(visit: Visit) -> int:
    return number_of(visit.places["number"], "version")


def _told(change: TableChange) -> str:
    settings = ", ".join(
        f"{each.name}: {setting(each.before)} → {setting(each.after)}" for each in change.settings
    )
    return f"{change.kind} {change.subject}" + (f": {settings}" if settings else "")
