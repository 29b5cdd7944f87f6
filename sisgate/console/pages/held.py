"""Syncs that are held, what they would change, and their approval."""

from sisgate.console.acts import REASON, FormField, act_view
from sisgate.console.payloads import opened_records
from sisgate.console.rooms import Done, Room, View, Visit
from sisgate.domain.states import JobState
from sisgate.errors import InvalidState, UsageError
from sisgate.gateway import Action

room = Room()

SIZE = 50


@room.page("/held", Action.LOOK, "anywhere")
def held(visit: Visit) -> View:
    """Show the held syncs that nobody has settled."""
    jobs = visit.gateway.jobs.held()
    may = {
        job.id
        for job in jobs
        if visit.gateway.access.allows(Action.CONTROL, job.provider, job.resource)
    }
    return View("held.html", "Held syncs", {"jobs": jobs, "may": may})


@room.page("/held/{job_id}", Action.LOOK, "job")
def held_sync(visit: Visit) -> View:
    """Show what one would delete, record by record, and ask before approving it."""
    return _view(visit)


@room.finder("/held/{job_id}/records", Action.LOOK, "job")
def held_sync_from(visit: Visit) -> View:
    """Show the records from an id on."""
    return _view(visit)


@room.page("/held/{job_id}/data", Action.LOOK, "job")
def without_data(visit: Visit) -> Done:
    """Go to the page that is no look at student data."""
    return Done(f"/held/{visit.places['job_id']}", "")


@room.action("/held/{job_id}/data", Action.SIGHT, "job")
def held_sync_data(visit: Visit) -> View:
    """Show the same with what is in the records."""
    return _view(visit, visit.purpose)


def _view(visit: Visit, purpose: str | None = None) -> View:
    gateway, job_id = visit.gateway, visit.places["job_id"]
    status, start = gateway.jobs.status(job_id), visit.asked("start")
    found = gateway.jobs.deletions(job_id, start=start, limit=SIZE)
    form = act_view(
        f"Deletions of {found.resource} of {found.provider}",
        [
            status.note or "It would delete more than is usual.",
            ("Approving reads the whole list once more, proves that it is complete, and deletes "
            "what it no longer has, however many. Apps that follow the changes see each deletion. "
            "Check at the provider first: a broken export or a lost permission looks the same."),
            ("If the records are not gone, do not approve: let the provider correct it, then sync "
            "again. Until then each sync is held, and nothing is deleted."),
        ],
        FormField("sure", "I have checked at the provider that the records are gone.",
                  kind="checkbox", required=True),
        REASON, submit="Approve the deletions", back="/held", path=f"/held/{status.id}",
        danger=True,
    )  # fmt: skip
    opened = None
    if purpose is not None:
        ids = [each.sourced_id for each in found.records]
        opened = opened_records(visit, found.provider, found.resource, ids, purpose)
    values = {
        "job": status, "found": found, "start": start, "opened": opened, "purpose": purpose,
        "sees": visit.sees(found.provider, found.resource),
        "may": visit.gateway.access.allows(Action.CONTROL, found.provider, found.resource),
    }  # fmt: skip
    return View("held_sync.html", form.title, {**form.values, **values})


@room.action("/held/{job_id}", Action.CONTROL, "job")
def approve(visit: Visit) -> Done:
    """Sync again with approval."""
    status = visit.gateway.jobs.status(visit.places["job_id"])
    if status.state is not JobState.HELD or status.resource is None:
        raise InvalidState(f"Job {status.id} is {status.state.value}, not held.", job=status.id)
    if visit.form.get("sure") != "yes":
        raise UsageError("Check at the provider first, and say so in the form.", field="sure")
    job = visit.gateway.sync(
        status.provider, status.resource, allow_deletes=True, mode="full", priority="high",
        reason=visit.reason,
    )  # fmt: skip
    return Done(f"/jobs/{job.id}", "Approved: this sync deletes what the provider no longer has.")
