"""Datasets: how fresh they are, and a sync now. No record is shown here."""

from urllib.parse import quote

from sisgate.console.acts import REASON, FormField, act_view
from sisgate.console.rooms import Done, Room, View, Visit
from sisgate.gateway import Action

room = Room()

SIZE = 100


@room.page("/datasets", Action.LOOK, "anywhere")
def datasets(visit: Visit) -> View:
    """Show when each dataset was read, and what was not read yet of one provider."""
    gateway, provider = visit.gateway, visit.query.get("provider") or None
    name, _, resource = visit.query.get("after", "").partition("/")
    every = gateway.datasets.list(
        provider, after=(name, resource) if resource else None, limit=SIZE + 1
    )
    found = every[:SIZE]
    known = {(each.provider, each.resource) for each in found}
    missing = []
    if provider is not None:
        roster = gateway.datasets.roster(provider)
        missing = [each for each in roster if (provider, each) not in known]
    may = {
        (name, resource)
        for name, resource in [*known, *((provider, each) for each in missing)]
        if gateway.access.allows(Action.ENQUEUE, name, resource)
    }
    following = f"{found[-1].provider}/{found[-1].resource}" if len(every) > SIZE else None
    values = {
        "datasets": found, "missing": missing, "provider": provider, "may": may,
        "next": following,
    }  # fmt: skip
    return View("datasets.html", "Datasets", values)


@room.page("/datasets/{provider}/{resource}/sync", Action.ENQUEUE, "dataset")
def sync_form(visit: Visit) -> View:
    """Ask how to sync."""
    name, resource = visit.places["provider"], visit.places["resource"]
    modes = (
        ("auto", "auto: only what has changed, between full reads, if the provider can filter"),
        ("full", "full: the whole list"), ("incremental", "incremental: only what has changed"),
    )  # fmt: skip
    urgencies = [(each, each) for each in ("normal", "urgent", "high", "low")]
    plan = visit.gateway.plan(name, resource)
    calls = f"about {plan.calls:,} calls" if plan.calls else "an unknown number of calls"
    return act_view(
        f"Sync {resource} of {name}",
        [f"It needs {calls} and takes its place in the provider's quota by its priority."],
        FormField("mode", "Mode", kind="select", options=modes),
        FormField("priority", "Priority", kind="select", options=urgencies),
        REASON, submit="Sync", back=f"/datasets?provider={quote(name)}",
    )  # fmt: skip


@room.action("/datasets/{provider}/{resource}/sync", Action.ENQUEUE, "dataset")
def sync(visit: Visit) -> Done:
    """Enqueue a sync."""
    job = visit.gateway.sync(
        visit.places["provider"], visit.places["resource"],
        mode=visit.form.get("mode", "auto"), priority=visit.form.get("priority", "normal"),
        reason=visit.reason,
    )  # fmt: skip
    return Done(f"/jobs/{job.id}", "The sync is accepted.")
