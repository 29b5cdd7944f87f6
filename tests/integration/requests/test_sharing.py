"""Identical GETs in flight share a call, and a stored response may answer, where an app asks so."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sisgate import Answer, Gateway, Job
from sisgate.access.policy import Principal, Role
from sisgate.clock import SystemClock, poll_until
from sisgate.errors import JobExpired, UsageError
from testbed.http_server import Asked, Reply, json_reply
from testbed.sis import Sis

CLOCK = SystemClock()
PATIENCE = 60.0


def ask(gateway: Gateway, path: str = "/orgs", **words: Any) -> Job:
    """Enqueue a request that may share a call."""
    return gateway.enqueue_request("lincoln", "GET", path, **{"max_age": 0.0, **words})


class Gate:
    """Holds back the answers of the provider until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def wait(self) -> None:
        assert self._open.wait(PATIENCE)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate(sis: Sis) -> Gate:
    """The provider answers nobody yet."""
    gate = Gate()

    def reply(_: Asked) -> Reply:
        gate.wait()
        return json_reply({"orgs": [1]})

    sis.reply = reply
    return gate


def test_many_at_the_same_moment_are_one_call(gateway: Gateway, sis: Sis, gate: Gate) -> None:
    """Each gets the answer, and the job tells how many more it answered."""
    count = 12

    def request(_: int) -> Answer:
        return gateway.request("lincoln", "GET", "/orgs", max_age=0, timeout=PATIENCE)

    with ThreadPoolExecutor(count) as pool:
        answers = pool.map(request, range(count))
        shared = lambda: sum(job.shared for job in gateway.jobs.list())  # noqa: E731
        assert poll_until(lambda: shared() == count - 1, clock=CLOCK, timeout_seconds=PATIENCE)
        gate.open()
        found = list(answers)
    assert len(sis.asked) == 1
    assert {each.json()["orgs"][0] for each in found} == {1}
    assert sorted(each.origin for each in found) == ["call", *["shared"] * (count - 1)]
    assert len({each.job_id for each in found}) == 1


def test_only_the_same_is_shared(gateway: Gateway) -> None:
    """Not another path, query, header or priority, nor a request that wants its own call."""
    gateway.providers.control("lincoln").pause(None, actor="ana")
    first = ask(gateway, query={"limit": "1"})
    assert ask(gateway, query={"limit": "1"}).id == first.id
    others = [
        ask(gateway), ask(gateway, "/users"), ask(gateway, query={"limit": "2"}),
        ask(gateway, query={"limit": "1"}, headers={"accept": "text/csv"}),
        ask(gateway, query={"limit": "1"}, priority="low"),
        ask(gateway, query={"limit": "1"}, max_age=None),
    ]  # fmt: skip
    assert all(job.is_new and job.origin == "call" for job in others)
    assert first.status().shared == 1


def test_apps_share_what_both_may_see(gateway: Gateway) -> None:
    """All, where no token is needed; an app with a token its own only."""
    gateway.providers.control("lincoln").pause(None, actor="ana")
    portal, grades = (
        gateway.acting_as(Principal(name, frozenset({Role.APP}))) for name in ("portal", "grades")
    )
    own = ask(gateway)
    first = ask(portal)
    assert first.is_new
    assert ask(portal).id == first.id
    other = ask(grades)
    assert other.is_new
    assert len({own.id, first.id, other.id}) == 3


def test_whoever_waits_longer_makes_the_call_anew(gateway: Gateway, sis: Sis, gate: Gate) -> None:
    """The job that was shared ended with its own app's patience."""
    gateway.providers.control("lincoln").pause(None, actor="ana")
    first = ask(gateway)
    with ThreadPoolExecutor(1) as pool:
        longer = pool.submit(
            gateway.request, "lincoln", "GET", "/orgs", max_age=0, timeout=PATIENCE
        )
        assert poll_until(lambda: first.status().shared == 1, clock=CLOCK, timeout_seconds=PATIENCE)
        with pytest.raises(JobExpired, match="continues"):
            gateway.request("lincoln", "GET", "/orgs", max_age=0, timeout=0.05)
        assert not first.status().is_final
        gateway.providers.control("lincoln").resume(actor="ana")
        first.cancel()
        gate.open()
        answer = longer.result(PATIENCE)
    assert answer.job_id != first.id
    assert answer.origin == "call"


def test_a_stored_response_answers_while_it_is_new_enough(gateway: Gateway, sis: Sis) -> None:
    """Without a call, and counted; one that failed answers nothing."""
    first = gateway.request("lincoln", "GET", "/orgs", timeout=PATIENCE)
    again = gateway.request("lincoln", "GET", "/orgs", max_age=3600, timeout=PATIENCE)
    assert (again.origin, again.job_id, again.body) == ("stored", first.job_id, first.body)
    assert again.age_seconds is not None
    assert not again.is_stale
    assert gateway.jobs.status(first.job_id).shared == 1
    assert len(sis.asked) == 1
    newer = gateway.request("lincoln", "GET", "/orgs", max_age=0, timeout=PATIENCE)
    assert newer.origin == "call"
    sis.reply = lambda _: json_reply({}, 404)
    for _ in range(2):
        answer = gateway.request("lincoln", "GET", "/nothing", max_age=3600, timeout=PATIENCE)
        assert answer.status == 404
    assert len(sis.asked) == 4


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("POST", {"max_age": 1.0}),
        ("GET", {"max_age": -1.0}),
        ("GET", {"max_age": float("nan")}),
        ("GET", {"max_age": 1.0, "idempotency_key": "x"}),
    ],
)
def test_what_cannot_be_shared_is_refused(
    gateway: Gateway, method: str, words: dict[str, Any]
) -> None:
    """Before anything is accepted."""
    with pytest.raises(UsageError):
        gateway.enqueue_request("lincoln", method, "/orgs", **words)
