"""Syncs for troubles: a list of schools, and syncs of it."""

from collections.abc import Callable, Sequence

from testbed.http_server import Asked, Reply, json_reply
from testbed.troubles.trouble import Trouble
from workers.jobs import planning

BASE = "/ims/oneroster/rostering/v1p2"
"""All paths of lists begin so."""


def begin_sync(at: Trouble, resource: str = "orgs", *, allow_deletes: bool = False) -> str:
    """Enqueue and plan a full sync of the trouble's district; return its job."""
    job = at.scene.gateway.sync(at.district, resource, mode="full", allow_deletes=allow_deletes)
    planning.plan(at.scene.runtime, job.id)
    return job.id


def sync(at: Trouble, resource: str = "orgs", *, allow_deletes: bool = False) -> str:
    """Run a full sync of the trouble's district to its end; return its job."""
    job = begin_sync(at, resource, allow_deletes=allow_deletes)
    for _ in range(60):
        if at.scene.gateway.jobs.status(job).is_final:
            return job
        if not at.scene.work(at.district):
            at.scene.clock.advance(3)
    raise AssertionError(at.scene.gateway.jobs.status(job))


def schools(count: int) -> list[dict[str, object]]:
    """Return so many schools."""
    return [
        {
            "sourcedId": f"org-{number}",
            "status": "active",
            "dateLastModified": "2026-08-01T00:00:00.000Z",
            "name": f"School {number}",
            "type": "school",
            "identifier": str(number),
        }
        for number in range(count)
    ]


def answer_lists(at: Trouble, answer: Callable[[Asked], Reply]) -> None:
    """Let the trouble's district answer lists so, and everything else as ever."""
    district, good = at.scene.districts[at.district], at.scene.districts[at.district].answer
    district.answer = lambda asked: (answer if asked.path.startswith(BASE) else good)(asked)


def pages(orgs: Sequence[dict[str, object]]) -> Callable[[Asked], Reply]:
    """Return an answer that gives pages of the schools, as they are then."""

    def answer(asked: Asked) -> Reply:
        begin = int(asked.query.get("offset", 0))
        page = orgs[begin : begin + int(asked.query.get("limit", 100))]
        return json_reply({"orgs": list(page)}, X_Total_Count=str(len(orgs)))

    return answer
