"""A service that lacks the newest fields and routes: its answers are read all the same."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import responses

from sisgate.client import HttpGateway
from sisgate.errors import AnswerInvalid

URL = "https://sisgate.test"
PROVIDER: dict[str, Any] = {
    "name": "lincoln", "kind": "oneroster", "limits": ["5/h"], "overridden": False,
    "windows": [{"limit": "5/h", "used": 1, "left": 4}], "burst": None, "in_flight": 0,
    "factor": 1.0, "blocked_seconds": 0.0, "block_reason": "", "paused_until": None,
    "next_permit_in_seconds": {"normal": 0.0}, "waiting": 0, "held": False, "endpoints": [],
    "breakers": [], "obstacles": [], "keys": [], "auth": "none", "token_url": None,
    "base_path": None, "resources": ["students"], "known": True, "hold": None, "queue": [],
}  # fmt: skip
JOB: dict[str, Any] = {
    "id": "j1", "kind": "sync", "provider": "lincoln", "resource": "students", "app": "default",
    "state": "done", "priority": "normal", "accepted_at": "2026-09-01T00:00:00Z",
    "started_at": None, "ended_at": None, "expires_at": None, "calls_made": 1, "rows_seen": 1,
    "inserted": 1, "updated": 0, "deleted": 0, "throttled": 0, "calls": {}, "error": None,
}  # fmt: skip
ALERT = {
    "id": "al_1", "rule": "quota", "severity": "critical", "state": "firing",
    "subject": "lincoln", "since": "2026-09-01T00:00:00Z", "seen_at": "2026-09-01T00:00:00Z",
    "changed_at": "2026-09-01T00:00:00Z",
}  # fmt: skip
SCHEDULE = {
    "name": "nightly", "provider": "lincoln", "where": None, "resources": ["students"],
    "when": "0 2 * * * UTC", "in_words": "at 02:00", "mode": "auto", "priority": "normal",
    "next_at": None, "jobs": [],
}  # fmt: skip

ANSWERS: dict[str, Any] = {
    "/v1/providers": {"providers": [PROVIDER], "unknown": []},
    "/v1/providers/lincoln": PROVIDER,
    "/v1/jobs/j1": JOB,
    "/v1/configuration/diff": {"base": 1, "changes": [], "cancels": {}},
    "/v1/schedules": {"schedules": [SCHEDULE]},
    "/v1/retention": {
        "rules": [
            {"rule": "jobs", "setting": "retention.jobs", "before": None, "rows": {},
             "finished": True}
        ]
    },
    "/v1/alerts": {"alerts": [ALERT]},
    "/v1/syncs/many": {"syncs": []},
    "/v1/diagnosis": {"checks": []},
    "/v1/schedules/nightly/run": {"jobs": []},
    "/v1/jobs/bulk/cancel/review": {
        "action": "cancel", "query": "", "count": 1, "is_capped": False, "by_state": {},
        "left_out": {}, "forbidden": 0, "sample": [JOB], "newer": 1,
    },
}  # fmt: skip
"""What it answers, by path; other paths are not there."""

TAKES: Mapping[str, set[str]] = {
    "/v1/syncs/many": {
        "where", "resources", "priority", "mode", "allow_deletes", "timeout", "app", "with_absent",
    },
    "/v1/diagnosis": {"probe"},
    "/v1/schedules/nightly/run": set(),
}  # fmt: skip
"""The names that it knows in a body, by path; it refuses others."""


@pytest.fixture
def gateway() -> Iterator[HttpGateway]:
    """A client of that service."""

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        path = request.url.removeprefix(URL).partition("?")[0]
        unknown = json.loads(request.body or "{}").keys() - TAKES.get(path, set())
        if path in TAKES and unknown:
            problem = {"code": "usage_error", "detail": f"{sorted(unknown)}?", "status": 422}
            return 422, {"Content-Type": "application/problem+json"}, json.dumps(problem)
        if path in ANSWERS:
            return 200, {}, json.dumps(ANSWERS[path])
        problem = {"code": "not_found", "detail": "Nothing is here.", "status": 404}
        return 404, {"Content-Type": "application/problem+json"}, json.dumps(problem)

    with responses.RequestsMock(assert_all_requests_are_fired=False) as service:
        for method in (responses.GET, responses.POST):
            service.add_callback(method, re.compile(f"{URL}/.*"), answer)
        with HttpGateway(URL) as made:
            yield made


READS: Mapping[str, Callable[[HttpGateway], object]] = {
    "no message is lost by a plan": lambda it: it.configuration.plan_change({}).drops == {},
    "a provider has no pool": lambda it: it.providers.overview("lincoln").providers[0].pool is None,
    "nothing is known of periodic tasks": lambda it: it.providers.overview().periodic == [],
    "names are those of providers": lambda it: it.providers.names() == ["lincoln"],
    "jobs are asked for one by one": lambda it: [j.id for j in it.jobs.statuses(["j1"])] == ["j1"],
    "a schedule has no starts": lambda it: it.schedules.list()[0].starts == {},
    "a rule keeps for ever": lambda it: it.privacy.retention.preview()[0].rule.keep is None,
    "an alert has no evidence": lambda it: not it.alerts.list()[0].evidence,
    "a pattern has no history": lambda it: it.errors.history("er_1") == {},
}
"""What is read, as a question whose answer is yes."""


@pytest.mark.parametrize("what", READS)
def test_what_it_does_not_tell_is_empty(gateway: HttpGateway, what: str) -> None:
    """And no reason to fail."""
    assert READS[what](gateway)


def test_what_is_needed_is_named(gateway: HttpGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do about it, and no traceback."""
    without = {name: value for name, value in JOB.items() if name != "state"}
    monkeypatch.setitem(ANSWERS, "/v1/jobs/j1", without)
    with pytest.raises(AnswerInvalid, match=r"without 'state'.* It is older: upgrade it"):
        gateway.jobs.status("j1")
    monkeypatch.setitem(ANSWERS, "/v1/alerts", {"alerts": [ALERT | {"state": "odd"}]})
    with pytest.raises(AnswerInvalid, match=r"cannot read \(0.state: .* one version"):
        gateway.alerts.list()


ORDERS: Mapping[str, Callable[[HttpGateway], object]] = {
    "syncs of many": lambda it: it.sync_many({}),
    "a diagnosis": lambda it: list(it.diagnosis.run()),
    "a run of a schedule": lambda it: it.schedules.run("nightly"),
}


@pytest.mark.parametrize("what", ORDERS)
def test_an_order_names_only_what_is_given(gateway: HttpGateway, what: str) -> None:
    """An older service refuses what it does not know, and need not know what nobody wants."""
    assert ORDERS[what](gateway) == []


def test_a_review_of_a_newer_service_is_read(gateway: HttpGateway) -> None:
    """It may tell more."""
    assert gateway.jobs.review_bulk("cancel", "").count == 1


ODD: tuple[tuple[str, Any, Callable[[HttpGateway], object]], ...] = (
    ("/v1/jobs/j1", JOB | {"state": "odd"}, lambda it: it.jobs.status("j1")),
    ("/v1/jobs/j1", JOB | {"priority": 7}, lambda it: it.jobs.status("j1")),
    ("/v1/jobs/j1", JOB | {"accepted_at": "noon"}, lambda it: it.jobs.status("j1")),
    ("/v1/jobs/j1", [], lambda it: it.jobs.status("j1")),
    ("/v1/jobs/j1", None, lambda it: it.job("j1")),
    ("/v1/jobs/j1/answer", {
        "job": "j1", "status": 200, "headers": {}, "body": "a", "truncated": False,
        "age_seconds": 0, "is_stale": False, "origin": "call",
    }, lambda it: it.answer("j1")),
    ("/v1/alerts", {"alerts": None}, lambda it: it.alerts.list()),
    ("/v1/schedules", {"schedules": ["x"]}, lambda it: it.schedules.list()),
    ("/v1/diagnosis", [], lambda it: list(it.diagnosis.run())),
    ("/v1/syncs/many", {"syncs": 7}, lambda it: it.sync_many({})),
)  # fmt: skip
"""Paths, what no service of this version answers there, and what asks for it."""


@pytest.mark.parametrize(("path", "answer", "ask"), ODD)
def test_what_cannot_be_read_is_one_error(
    gateway: HttpGateway,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    answer: Any,
    ask: Callable[[HttpGateway], object],
) -> None:
    """Of any part, and no traceback; what the answer held is not quoted."""
    monkeypatch.setitem(ANSWERS, path, answer)
    with pytest.raises(AnswerInvalid, match=r"cannot read .* one version") as invalid:
        ask(gateway)
    assert "noon" not in invalid.value.message


def test_a_mistake_of_the_caller_stays_one(gateway: HttpGateway) -> None:
    """Before the service has said anything, it has said nothing wrong."""
    gateway.jobs.status("j1")
    odd: Any = "odd"
    with pytest.raises(TypeError):
        gateway.jobs.statuses(7)  # type: ignore[arg-type]  # as a caller may
    with pytest.raises((TypeError, ValueError)):
        gateway.tokens.rotate("t", overlap=odd)
