"""An outage of the provider ends no job, however short or long, alone or beside others."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from sisgate.ledger import schema as tables
from testbed.provider import WAYS, Answer, Answered, Asked, Provider, chained, page_of, with_totals
from testbed.worker import Worker
from tests.integration.sync.conftest import MakeWorker

SECONDS = (5, 25, 90, 300)


Begin = Callable[[Worker], str]


def sync_of(resource: str) -> Begin:
    """Return what enqueues a full sync."""
    return lambda worker: worker.gateway.sync("lincoln", resource, mode="full").id


def request(worker: Worker) -> str:
    """Enqueue a request."""
    path = "/ims/oneroster/rostering/v1p2/orgs"
    return worker.gateway.enqueue_request("lincoln", "GET", path, timeout=3600).id


BEGIN: dict[str, Begin] = {
    "with totals": sync_of("students"),
    "chained": sync_of("students"),
    "powerquery": sync_of("enrollments"),
    "request": request,
}


class Outage:
    """The provider fails from the n-th request on, for some seconds."""

    def __init__(self, worker: Worker, answer: Answer, after: int, seconds: float) -> None:
        self._worker = worker
        self._answer = answer
        self._after = after
        self._seconds = seconds
        self._ends_at: float | None = None
        self.failed = 0
        self.asked = 0

    def __call__(self, asked: Asked) -> Answered:
        self.asked += 1
        now = self._worker.clock.monotonic()
        if self.asked > self._after and self._ends_at is None:
            self._ends_at = now + self._seconds
        if self._ends_at is not None and now < self._ends_at:
            self.failed += 1
            return Answered({"message": "unavailable"}, 503)
        return self._answer(asked)


@pytest.mark.parametrize("many", [1, 4])
@pytest.mark.parametrize("kind", WAYS)
def test_an_outage_of_any_length_fails_no_job(
    make_worker: MakeWorker, provider: Provider, kind: str, many: int
) -> None:
    """With the defaults, whatever is read, one job alone or four; and little is asked meanwhile.

    From the first call on, or in the middle: each with one job and four, and in every way.
    """
    (dialect, answer), begin = WAYS[kind], BEGIN[kind]
    worker = make_worker(dialect, more="page_size = 20")
    for number, seconds in enumerate(SECONDS, start=many // 4 + list(WAYS).index(kind)):
        after = 2 * (number % 2)
        worker.runtime.redis.flushall()
        outage = provider.answer = Outage(worker, answer, after, seconds)
        jobs = [begin(worker) for _ in range(many)]
        begun = worker.clock.monotonic()
        statuses = worker.run(jobs)
        took = worker.clock.monotonic() - begun
        assert [status.state for status in statuses] == ["done"] * many, (seconds, statuses)
        assert all(status.complete is not False for status in statuses)
        assert outage.failed <= 30
        # The last opening of the breaker began before the end, and lasted less than all before.
        assert took <= 2 * seconds + 120


def tries(worker: Worker) -> int:
    """Return the most tries that any call has spent."""
    with worker.runtime.database.read() as session:
        return session.scalar(select(func.max(tables.Call.tries))) or 0


@pytest.mark.parametrize("many", [1, 4])
def test_a_request_that_fails_by_its_own_fault_is_given_up(
    make_worker: MakeWorker, provider: Provider, many: int
) -> None:
    """The endpoint answers everything else, so its tries are spent and its breaker stays closed."""
    worker = make_worker(more="page_size = 20")

    def answer(asked: Asked) -> Answered:
        if asked.number("offset", 0) == 38:
            return Answered({"message": "row 40 cannot be read"}, 500)
        return chained(asked)

    provider.answer = answer
    jobs = [worker.gateway.sync("lincoln", "students", mode="full").id for _ in range(many)]
    begun = worker.clock.monotonic()
    for status in worker.run(jobs):
        assert status.state == "failed"
        assert status.error is not None
        assert "cannot be read" in status.error["message"]
    assert tries(worker) == 5
    assert worker.clock.monotonic() - begun < 300
    (view,) = worker.runtime.endpoints(worker.config).breakers.views()
    assert (view.state, view.openings) == ("closed", 0)


def test_bad_datasets_keep_no_good_ones_waiting(
    make_worker: MakeWorker, provider: Provider
) -> None:
    """Two that always fail end; six beside them are done, and the breaker does not open."""
    worker = make_worker(more="page_size = 20")
    names = ["students", "teachers", "orgs", "terms", "courses", "classes"]
    bad = ["enrollments", "demographics"]

    def answer(asked: Asked) -> Answered:
        name = asked.path.rsplit("/", 1)[1]
        if name in bad:
            return Answered({"message": "broken"}, 500)
        envelope = {"students": "users", "teachers": "users", "terms": "academicSessions"}
        return Answered({envelope.get(name, name): page_of(rows_of(name), asked)})

    provider.answer = answer
    jobs = [worker.gateway.sync("lincoln", name, mode="full").id for name in [*bad, *names]]
    states = [status.state for status in worker.run(jobs)]
    assert states == ["failed"] * 2 + ["done"] * 6


def rows_of(name: str) -> list[dict[str, Any]]:
    """Return a few rows that any resource may have."""
    return [{"sourcedId": f"{name}-{n}", "status": "active"} for n in range(30)]


def test_an_unsafe_request_is_never_risked_as_a_probe(
    make_worker: MakeWorker, provider: Provider
) -> None:
    """While the breaker is open another request tries the endpoint out."""
    worker = make_worker()
    outage = provider.answer = Outage(worker, with_totals, 0, 60)
    breakers = worker.runtime.endpoints(worker.config).breakers
    lists = [worker.gateway.sync("lincoln", "students", mode="full").id for _ in range(3)]
    for job in lists:
        worker.gateway.jobs.cancel(job)
    reads = [request(worker) for _ in range(5)]
    while breakers.open_seconds() is None:
        worker.work()
    path = "/ims/oneroster/rostering/v1p2/orgs"
    post = worker.gateway.enqueue_request("lincoln", "POST", path, json={"a": 1}, timeout=3600).id
    statuses = worker.run([post, *reads])
    assert [status.state for status in statuses] == ["done"] * 6
    assert sum(asked.method == "POST" for asked in provider.asked) == 1
    assert outage.failed > 0
