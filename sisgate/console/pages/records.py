"""Records: which there are, what became of one, who reads their changes.

What is in a record is shown to who has payload sight, for a stated purpose. Pages about one record
or from an id on answer a form, as no address may have an id or a purpose. Those with student data
are not kept up to date: each look is a disclosure.
"""

from typing import Any

from sisgate.console.forms import number_of
from sisgate.console.payloads import opened_records
from sisgate.console.rooms import Room, View, Visit
from sisgate.errors import UsageError
from sisgate.gateway import Action

room = Room()

SIZE = 50
AT = "/datasets/{provider}/{resource}"


def _place(visit: Visit) -> tuple[str, str]:
    return visit.places["provider"], visit.places["resource"]


def _page(visit: Visit) -> dict[str, Any]:
    """Return a page of records without data, and what pages of a dataset have in common."""
    provider, resource = _place(visit)
    start, deleted = visit.asked("start"), visit.asked("deleted") == "yes"
    datasets = visit.gateway.datasets
    page = datasets.browse(provider, resource, start=start, include_deleted=deleted, limit=SIZE)
    return {
        "provider": provider, "resource": resource, "start": start, "deleted": deleted,
        "page": page, "sees": visit.sees(provider, resource), "opened": None,
    }  # fmt: skip


@room.page(f"{AT}/records/data", Action.LOOK, "dataset")
@room.finder(f"{AT}/records", Action.LOOK, "dataset")
def records(visit: Visit) -> View:
    """Show the records from an id on, without what is in them."""
    provider, resource = _place(visit)
    return View("records.html", f"Records: {resource} of {provider}", _page(visit))


@room.action(f"{AT}/records/data", Action.SIGHT, "dataset")
def records_data(visit: Visit) -> View:
    """Show the same with what is in them."""
    provider, resource = _place(visit)
    purpose, values = visit.purpose, _page(visit)
    ids = [each.sourced_id for each in values["page"].records]
    values["opened"] = opened_records(visit, provider, resource, ids, purpose)
    title = f"Records: {resource} of {provider}"
    return View("records.html", title, values | {"purpose": purpose})


def _record(visit: Visit) -> dict[str, Any]:
    provider, resource = _place(visit)
    if not (sourced_id := visit.asked("id")):
        raise UsageError("No record was named: choose one among those of the dataset.")
    found = visit.gateway.datasets.history(provider, resource, sourced_id)
    is_person = resource in {"students", "teachers"}
    return {
        "provider": provider, "resource": resource, "it": found.record, "changes": found.changes,
        "sees": visit.sees(provider, resource), "opened": None,
        "may_ask": is_person and visit.allows(Action.ADMINISTER),
    }  # fmt: skip


@room.page(f"{AT}/record/data", Action.LOOK, "dataset")
@room.finder(f"{AT}/record", Action.LOOK, "dataset")
def record(visit: Visit) -> View:
    """Show one record without what is in it: when it came, changed and went."""
    return View("record.html", "Record", _record(visit))


@room.action(f"{AT}/record/data", Action.SIGHT, "dataset")
def record_data(visit: Visit) -> View:
    """Show one record with what is in it."""
    provider, resource = _place(visit)
    purpose, values = visit.purpose, _record(visit)
    its_id = values["it"].sourced_id
    found = opened_records(visit, provider, resource, [its_id], purpose)
    values["opened"] = found.get(its_id, {})
    return View("record.html", "Record", values | {"purpose": purpose})


@room.page(f"{AT}/changes", Action.LOOK, "dataset")
def changes(visit: Visit) -> View:
    """Show the newest changes, without records, and how far apps have read them."""
    provider, resource = _place(visit)
    before = visit.query.get("before") or None
    number = number_of(before, "before") if before is not None else None
    datasets = visit.gateway.datasets
    feed = datasets.feed(provider, resource, before=number, limit=SIZE)
    values = {
        "provider": provider, "resource": resource, "feed": feed, "before": number,
        "consumers": datasets.consumers(provider, resource),
        "following": feed.changes[-1].sequence if len(feed.changes) == SIZE else None,
    }  # fmt: skip
    return View("changes.html", f"Changes of {resource} of {provider}", values)
