"""Jobs: the filter bar, one job as a timeline, and actions on one or on all that match."""

import json
from contextlib import suppress
from typing import Any

from sisgate.console.acts import REASON, FormField, act_view
from sisgate.console.forms import number_of
from sisgate.console.rooms import ACTOR, Done, Room, View, Visit
from sisgate.console.templates import address
from sisgate.domain.job_filter import QUALIFIERS, pinned
from sisgate.domain.states import JobState
from sisgate.errors import (
    BrokerUnavailable,
    CredentialError,
    InvalidState,
    NotFound,
    TransformFailed,
    UsageError,
)
from sisgate.gateway import Action

room = Room()

SIZE = 50
MOST_SHOWN = 100_000
"""Characters of a response that a page shows."""

CHIPS = (
    ("All", ""), ("Live", "state:accepted state:running"), ("Failed", "state:failed"),
    ("Given up", "is:dead"), ("Held", "is:unapproved"), ("Expired", "state:expired"),
    ("Unknown outcome", "state:unknown"), ("Last hour", "since:1h"),
)  # fmt: skip
"""Filters that are one click away."""


@room.page("/jobs", Action.LOOK, "anywhere")
def jobs(visit: Visit) -> View:
    """Show the jobs that match a filter, newest first."""
    query, after = visit.query.get("q", ""), visit.query.get("after") or None
    values: dict[str, Any] = {
        "q": query, "chips": CHIPS, "problem": "", "jobs": [], "next": None, "after": after,
        "may_act": visit.gateway.access.principal().roles & {"app", "operator", "admin"},
        "qualifiers": QUALIFIERS,
    }  # fmt: skip
    try:
        found = visit.gateway.jobs.search(query, after=after, limit=SIZE + 1)
    except UsageError as error:  # the filter is still there to be put right
        return View("jobs.html", "Jobs", values | {"problem": error.message})
    page = found[:SIZE]
    following = page[-1].cursor if len(found) > SIZE else None
    return View("jobs.html", "Jobs", values | {"jobs": page, "next": following})


@room.page("/jobs/bulk/{action}", Action.ENQUEUE, "anywhere")
def review(visit: Visit) -> View:
    """Show what an action on all that match would be done to."""
    query = visit.query.get("q", "")
    found = visit.gateway.jobs.review_bulk(_action(visit), query)
    title = f"{found.action.capitalize()} all that match"
    return View("bulk.html", title, {"it": found, "q": query})


@room.action("/jobs/bulk/{action}", Action.ENQUEUE, "anywhere")
def run(visit: Visit) -> View:
    """Do a round of it, and tell the conflicts.

    Reloading the page does no harm: no job is touched that the review did not count.
    """
    form = visit.form
    query = pinned(form.get("q", ""), visit.now)
    outcome = visit.gateway.jobs.run_bulk(
        _action(visit), query, after=form.get("after") or None, actor=ACTOR, reason=visit.reason
    )
    earlier = {name: number_of(form.get(name, "0"), name) for name in ("done", "left", "of")}
    values = {
        "it": outcome, "q": query, "of": earlier["of"], "done": earlier["done"] + outcome.done,
        "left": earlier["left"] + len(outcome.conflicts), "reason": visit.reason or "",
    }  # fmt: skip
    return View("outcome.html", "Going on" if outcome.after else "Done", values)


def _action(visit: Visit) -> str:
    action = visit.places["action"]
    if action not in {"retry", "cancel"}:
        raise NotFound("There is no such page.")
    return action


@room.page("/jobs/{job_id}", Action.LOOK, "job")
def job(visit: Visit) -> View:
    """Show everything about a job: its state, what it waits for, its timeline."""
    gateway, job_id = visit.gateway, visit.places["job_id"]
    status = gateway.jobs.status(job_id)
    wait = plan = None
    with suppress(BrokerUnavailable):
        wait = gateway.jobs.waits_for(job_id)
        plan = gateway.jobs.expected(job_id) if not status.is_final else None
    principal = gateway.access.principal()
    action = Action.ENQUEUE if status.app == principal.name else Action.CONTROL
    values: dict[str, Any] = {
        "job": status, "why": gateway.why(job_id) if not status.is_final else None,
        "wait": wait, "plan": plan, "sees": visit.sees(status.provider),
        "timeline": gateway.jobs.timeline(job_id),
        "may_act": gateway.access.allows(action, status.provider, status.resource),
        "may_approve": gateway.access.allows(Action.CONTROL, status.provider, status.resource),
        "may_retry": status.state in {JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED}
        and status.retried_as is None,
    }  # fmt: skip
    flower = gateway.settings.flower_url
    values["flower"] = f"{flower}/task/{job_id}" if flower else None
    what = status.resource or status.kind
    return View("job.html", f"{what} of {status.provider}", values)


@room.page("/jobs/{job_id}/payload", Action.LOOK, "job")
def without_payload(visit: Visit) -> Done:
    """Go to the page that is no look at student data."""
    return Done(f"/jobs/{visit.places['job_id']}", "")


@room.action("/jobs/{job_id}/payload", Action.SIGHT, "job")
def payload(visit: Visit) -> View:
    """Show what a request asked for and what was answered: each look is a disclosure."""
    part, job_id = visit.gateway.jobs, visit.places["job_id"]
    purpose, status = visit.purpose, part.status(job_id)
    values: dict[str, Any] = {"job": status, "answer": None, "body": "", "cut": False, "why": ""}
    values["target"] = target = part.request_target(job_id)
    if target is None:
        raise UsageError("A sync has no payload of its own: its records are in the dataset.")
    try:
        answer = part.answer(job_id, purpose=purpose)
    except (InvalidState, CredentialError, TransformFailed) as error:
        values["why"] = error.message
    else:
        text = _readable(answer.text)
        values |= {"answer": answer, "body": text[:MOST_SHOWN], "cut": len(text) > MOST_SHOWN}
    return View("payload.html", f"Payload of a request to {status.provider}", values)


def _readable(text: str) -> str:
    with suppress(ValueError, RecursionError):
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return text


@room.page("/jobs/{job_id}/{act}", Action.ENQUEUE, "job")
def act_form(visit: Visit) -> View:
    """Ask before an action on one job."""
    status = visit.gateway.jobs.status(visit.places["job_id"])
    act, back = visit.places["act"], f"/jobs/{visit.places['job_id']}"
    what = f"{status.resource or status.kind} of {status.provider}, {status.state.value}"
    if act == "cancel":
        text = "The job ends now. A call in flight finishes, and its response is dropped."
        return act_view("Cancel the job", [what, text], REASON, submit="Cancel the job", back=back,
                        danger=True)  # fmt: skip
    if act == "retry":
        text = "A new job does the same again. A failed sync resumes where it ended."
        return act_view("Retry the job", [what, text], REASON, submit="Retry", back=back)
    if act == "resolve":
        ends = (
            ("done", "done: the provider has carried it out"),
            ("failed", "failed: it has not"), ("retry", "failed, and send it again"),
        )  # fmt: skip
        text = "Find out at the provider whether the request was carried out, then say so here."
        field = FormField("resolution", "It is", kind="select", options=ends)
        return act_view("Settle the job", [what, text], field, REASON, submit="Settle", back=back)
    raise NotFound("There is no such page.")


@room.action("/jobs/{job_id}/{act}", Action.ENQUEUE, "job")
def act(visit: Visit) -> Done:
    """Cancel, retry or settle one job."""
    jobs_, job_id, word = visit.gateway.jobs, visit.places["job_id"], visit.places["act"]
    if word == "cancel":
        jobs_.cancel(job_id, actor=ACTOR, reason=visit.reason)
        return Done(f"/jobs/{job_id}", "The job is cancelled.")
    if word == "retry":
        again = jobs_.retry(job_id, actor=ACTOR, reason=visit.reason)
        return Done(f"/jobs/{again.id}", "This job does it again.")
    if word == "resolve":
        resolution = visit.form.get("resolution", "")
        status = jobs_.resolve(job_id, resolution, reason=visit.reason, actor=ACTOR)
        return Done(f"/jobs/{status.id}", "The job is settled.")
    raise NotFound("There is no such page.")


@room.page("/calls/{call}", Action.LOOK, "anywhere")
def of_call(visit: Visit) -> Done:
    """Go to the job of a call, whose number Flower shows."""
    job_id = visit.gateway.jobs.of_call(number_of(visit.places["call"], "call"))
    return Done(f"/jobs/{job_id}", "")


@room.page("/search", Action.LOOK, "anywhere")
def search(visit: Visit) -> Done:
    """Go to the page that a word means: a job, a provider, or the jobs that match."""
    word = visit.query.get("q", "").strip()
    if word.removeprefix("call").strip().isdecimal():
        return Done(f"/calls/{word.removeprefix('call').strip()}", "")
    if word in visit.gateway.providers.names():
        return Done(address(f"/providers/{word}"), "")
    with suppress(NotFound, UsageError):
        return Done(f"/jobs/{visit.gateway.jobs.find(word)}", "")
    if ":" in word:
        return Done(address("/jobs", q=word), "")
    return Done(address("/providers", q=word), "")
