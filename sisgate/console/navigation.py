"""Where one can go: the entries of the menu, with their keys."""

from dataclasses import dataclass

from sisgate.console.rooms import Visit
from sisgate.gateway import Action


@dataclass(frozen=True)
class MenuEntry:
    """One entry of the menu: `g`, then `key`, goes there. `everywhere`: needs the scope `*`."""

    path: str
    label: str
    key: str
    group: str
    action: Action = Action.LOOK
    everywhere: bool = False


ENTRIES = (
    MenuEntry("/", "Overview", "o", "Fleet"),
    MenuEntry("/alerts", "Alerts", "l", "Fleet"),
    MenuEntry("/errors", "Error patterns", "e", "Fleet"),
    MenuEntry("/sla", "Service levels", "v", "Fleet"),
    MenuEntry("/providers", "Providers", "p", "Fleet"),
    MenuEntry("/processes", "Processes", "w", "Fleet"),
    MenuEntry("/jobs", "Jobs", "j", "Work"),
    MenuEntry("/held", "Held syncs", "h", "Work"),
    MenuEntry("/schedules", "Schedules", "s", "Work"),
    MenuEntry("/datasets", "Datasets", "d", "Work"),
    MenuEntry("/quarantine", "Quarantine", "q", "Work", everywhere=True),
    MenuEntry("/webhooks", "Webhooks", "b", "Work", Action.ENQUEUE),
    MenuEntry("/configuration", "Configuration", "c", "Administration", everywhere=True),
    MenuEntry("/audit", "Audit log", "a", "Administration", Action.ADMINISTER, everywhere=True),
    MenuEntry(
        "/disclosures", "Disclosures", "i", "Administration", Action.ADMINISTER, everywhere=True
    ),
    MenuEntry("/tokens", "Tokens", "t", "Administration", Action.ADMINISTER, everywhere=True),
)
"""The menu, in order."""


def menu_of(visit: Visit) -> list[tuple[str, list[MenuEntry]]]:
    """Return what the visitor may see, by group."""
    groups: dict[str, list[MenuEntry]] = {}
    principal = visit.gateway.access.principal()
    is_everywhere = visit.gateway.access.allows(Action.LOOK)
    for entry in ENTRIES:
        if entry.action is Action.LOOK:
            may = is_everywhere or not entry.everywhere
        elif entry.everywhere:
            may = visit.gateway.access.allows(entry.action)
        else:
            may = visit.gateway.access.allows_some(entry.action)
        if may and principal.roles:
            groups.setdefault(entry.group, []).append(entry)
    return list(groups.items())


def nearest(visit: Visit, path: str) -> MenuEntry | None:
    """Return the entry, but the overview, that a path is or lies below, if there is one."""
    entries = [entry for _, entries in menu_of(visit) for entry in entries if entry.path != "/"]
    return next((each for each in entries if f"{path}/".startswith(f"{each.path}/")), None)
