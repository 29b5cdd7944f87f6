"""A server that gives some things wrongly: the rest is read, and what was wrong is said."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from sisgate.domain.records import ROSTER
from sisgate.gateway import JobStatus
from sisgate.ledger import schema as tables
from testbed.http_server import Asked, HttpServer, Reply, json_reply
from testbed.redis import RedisServer
from testbed.stack import PATIENCE_SECONDS, Stack, running

INNER = "http://sis-inner.local:8080"
ENVELOPES = {"teachers": "users", "students": "users", "terms": "academicSessions"}
ODD_ROWS = [None, "s", {"sourcedId": None}, {"sourcedId": ""}]


def rows_of(resource: str, count: int, **words: Any) -> list[dict[str, Any]]:
    """Return rows that are all right."""
    return [{"sourcedId": f"{resource}-{n:04d}", "status": "active", **words} for n in range(count)]


def paged(resource: str, rows: list[Any], query: Any, cap: int = 1000) -> Reply:
    """Return a page of a OneRoster list."""
    start, size = int(query.get("offset", 0)), min(int(query.get("limit", 100)), cap)
    name = ENVELOPES.get(resource, resource)
    return json_reply({name: rows[start : start + size]}, X_Total_Count=str(len(rows)))


def null_id(resource: str, asked: Asked) -> Reply:
    """One of 1,500 rows has no id."""
    rows: list[Any] = rows_of(resource, 1500)
    rows[700]["sourcedId"] = None
    return paged(resource, rows, asked.query)


def two_bad(resource: str, asked: Asked) -> Reply:
    """Two datasets of eight are no lists at all."""
    if resource in ("enrollments", "demographics"):
        return json_reply({"status": 0, "message": "Not licensed for your district"})
    return paged(resource, rows_of(resource, 120), asked.query)


def odd(resource: str, asked: Asked) -> Reply:
    """Every dataset is wrong in its own way."""
    match resource:
        case "orgs":
            minor = {"imsx_codeMinorField": [{"imsx_codeMinorFieldValue": "forbidden"}]}
            failure = {"imsx_codeMajor": "failure", "imsx_description": "Switched off until 15 May"}
            return json_reply({**failure, "imsx_CodeMinor": minor, "orgs": []})
        case "courses":
            page = b"<html><head><title>Site maintenance</title></head><body>6 am</body></html>"
            return 200, {"Content-Type": "text/html"}, page
        case "terms":
            return 204, {}, b""
        case "classes":
            return json_reply({"pupils": [{"message": "Ann Lee, grade 4"}]})
        case "teachers":
            text = '{"users": [{"sourcedId": "t1", "familyName": "Núñez\tde\nla Paz"}]}'
            kind = "application/json;charset=ISO-8859-1"
            return 200, {"Content-Type": kind}, text.encode("latin-1")
        case "students":
            return paged(resource, ODD_ROWS, asked.query)
        case "enrollments":
            return json_reply({"enrollments": ["x" * 1024 * 1500]})
    return paged(resource, rows_of(resource, 3, asian="perhaps"), asked.query)


def linked(resource: str, asked: Asked) -> Reply:
    """Next links name the host behind the proxy."""
    rows, at = rows_of(resource, 250), int(asked.query.get("cursor", 0))
    path = asked.path.partition("/ims")
    target = f"{INNER}{path[1]}{path[2]}?cursor={at + 100}"
    link = f'<{target}>; rel="next"' if at + 100 < len(rows) else ""
    return json_reply({ENVELOPES.get(resource, resource): rows[at : at + 100]}, Link=link)


def twice(resource: str, asked: Asked) -> Reply:
    """Two teachers of two schools come as two rows each, one pair on two pages."""
    one = {"role": "teacher", "familyName": "N"}
    rows = [{**row, "orgs": ["s1"], **one} for row in rows_of(resource, 60)]
    rows.insert(50, {**rows[7], "orgs": ["s2"]})
    rows.insert(20, {**rows[9], "orgs": ["s2"]})
    return paged(resource, rows, asked.query, cap=30)


CASES: dict[str, Callable[[str, Asked], Reply]] = {
    "null-id": null_id,
    "two-bad": two_bad,
    "odd": odd,
    "linked": linked,
    "linked-allowed": linked,
    "twice": twice,
}
OPTIONS: dict[str, dict[str, Any]] = {
    name: {"auth": "none", "retry": {"base_seconds": 0.2}, "max_body_mb": 1} for name in CASES
} | {"linked-allowed": {"auth": "none", "link_origins": [INNER]}}


@dataclass
class _District:
    url: str
    kind: str = "oneroster"
    oneroster_base: str | None = None
    client_id: str = "app"
    client_secret: str = "secret"

    @property
    def token_url(self) -> str:
        return f"{self.url}/token"


@dataclass
class _Districts:
    districts: dict[str, _District] = field(default_factory=dict)


def answer(asked: Asked) -> Reply:
    """Answer as the case does whose name begins the path."""
    _, case, *_, resource = asked.path.split("/")
    return CASES[case](resource, asked)


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    """One server for all cases."""
    with HttpServer(answer) as made:
        yield made


@pytest.fixture(scope="module")
def bad_stack(tmp_path_factory: pytest.TempPathFactory, server: HttpServer) -> Iterator[Stack]:
    """A running stack whose providers are the cases."""
    folder, redis = tmp_path_factory.mktemp("bad"), RedisServer()
    districts = _Districts({name: _District(f"{server.url}/{name}") for name in CASES})
    url = f"sqlite:///{folder / 'ledger.sqlite3'}"
    made = Stack(folder, districts, redis_url=redis.url, database_url=url, options=OPTIONS)  # type: ignore[arg-type]  # only its districts are read
    try:
        with running(made):
            yield made
    finally:
        redis.stop()


def synced(stack: Stack, provider: str, *resources: str, **words: Any) -> dict[str, JobStatus]:
    """Sync datasets side by side and return how each ended."""
    jobs = {name: stack.gateway.sync(provider, name, **words) for name in resources}
    return {name: stack.gateway.jobs.wait(job.id, PATIENCE_SECONDS) for name, job in jobs.items()}


def is_closed(stack: Stack, provider: str) -> bool:
    """Return whether no breaker of a provider ever opened."""
    views = [each.as_dict() for each in stack.gateway.providers.breakers(provider).standings()]
    return all(view["state"] == "closed" and view["since"] is None for view in views)


def test_one_row_without_an_id_costs_no_other(bad_stack: Stack) -> None:
    """It is named by number and field, and nothing is deleted by a list it is missing from."""
    status = synced(bad_stack, "null-id", "enrollments")["enrollments"]
    assert (status.state, status.complete, status.inserted) == ("done", False, 1499)
    assert "1 row could not be used (row 701: sourcedId is missing" in (status.note or "")
    again = synced(bad_stack, "null-id", "enrollments")["enrollments"]
    assert (again.inserted, again.updated, again.deleted) == (0, 0, 0)


def test_two_bad_datasets_keep_no_good_one_waiting(bad_stack: Stack, server: HttpServer) -> None:
    """Six are read, two end with the provider's message after two calls, no breaker opens."""
    ended = synced(bad_stack, "two-bad", *ROSTER)
    assert sorted(name for name in ROSTER if ended[name].state == "done") == sorted(
        set(ROSTER) - {"enrollments", "demographics"}
    )
    for name in ("enrollments", "demographics"):
        assert ended[name].state == "failed"
        assert "not licensed for your district" in (ended[name].error or {})["message"]
        assert (
            sum(each.path.startswith("/two-bad") and name in each.path for each in server.asked)
            == 2
        )
    assert is_closed(bad_stack, "two-bad")


def test_what_is_no_answer_is_told_in_words_of_errors(bad_stack: Stack) -> None:
    """Asked twice at most, and nobody's data is quoted from a list in an unknown form."""
    ended = synced(bad_stack, "odd", *ROSTER)
    said = {name: (ended[name].error or {}).get("message", "") for name in ROSTER}
    assert said["orgs"].endswith("with a failure in the body: … off until …")
    assert (ended["orgs"].error or {})["provider_code"] == "forbidden"
    assert said["courses"].endswith(" bytes): … maintenance …")
    assert "answered 204 without a body" in said["terms"]
    assert "holds no list of classes" in said["classes"]
    assert "Ann" not in json.dumps(dict(ended["classes"].error or {}))
    assert "1.5 MiB" in said["enrollments"]
    assert "max_body_mb" in said["enrollments"]
    assert [ended[name].calls_made for name in ("orgs", "courses", "terms", "classes")] == [2] * 4
    assert ended["enrollments"].calls_made == 1
    assert "None of the 4 rows" in said["students"]
    assert ended["teachers"].state == "done"
    (teacher,) = bad_stack.gateway.records("odd", "teachers")
    assert teacher.data["familyName"] == "Núñez\tde\nla Paz"
    demographics = ended["demographics"]
    assert (demographics.complete, demographics.inserted) == (True, 3)
    assert "3 rows had fields that could not be used" in (demographics.note or "")
    assert "perhaps" not in (demographics.note or "")
    assert is_closed(bad_stack, "odd")


def test_a_link_to_another_host_is_refused_once_or_read_at_the_endpoint(bad_stack: Stack) -> None:
    """The message says how to allow the host; it is never asked anything."""
    refused = synced(bad_stack, "linked", "students")["students"]
    assert (refused.state, refused.calls_made) == ("failed", 1)
    assert f'link_origins = ["{INNER}"]' in (refused.error or {})["message"]
    allowed = synced(bad_stack, "linked-allowed", "students")["students"]
    assert (allowed.complete, allowed.inserted) == (True, 250), allowed
    assert allowed.calls_made == 3


def test_a_person_of_two_schools_keeps_both(bad_stack: Stack) -> None:
    """However far apart the rows are; and a list that stays the same makes no change."""
    first = synced(bad_stack, "twice", "teachers", mode="full")["teachers"]
    assert first.complete
    stored = {r.sourced_id: r.data for r in bad_stack.gateway.records("twice", "teachers")}
    assert len(stored) == 60
    for name in ("teachers-0007", "teachers-0009"):
        assert {role["org"]["sourcedId"] for role in stored[name]["roles"]} == {"s1", "s2"}
    again = synced(bad_stack, "twice", "teachers", mode="full")["teachers"]
    assert (again.complete, again.inserted, again.updated, again.deleted) == (True, 0, 0, 0)


def test_nothing_of_a_bad_answer_is_in_the_ledger(bad_stack: Stack) -> None:
    """Flaws are kept as numbers and names."""
    with bad_stack.gateway.context.database.read() as session:
        kept = [call.error for call in session.query(tables.Call) if call.error]
    assert kept
    assert "perhaps" not in json.dumps(kept)
