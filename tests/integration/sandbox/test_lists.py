"""Pages, totals, filters, and lists that move while they are read."""

from typing import Any
from urllib.error import HTTPError

import pytest

from sisgate.sandbox import SandboxProcess

STUDENTS = 230
QUERY = "/ws/schema/query/org.sisgate.roster"


def all_ids(client: Any, resource: str, limit: int = 60) -> list[str]:
    """Read a list to its empty page."""
    ids: list[str] = []
    while True:
        (rows,) = client.roster(resource, limit=limit, offset=len(ids)).json.values()
        if not rows:
            return ids
        ids += [row["sourcedId"] for row in rows]


@pytest.mark.parametrize("resource", ["students", "users", "enrollments", "classes", "orgs"])
def test_pages_add_up_to_the_total(client: Any, resource: str) -> None:
    """Each row comes once, in the order of sourcedId, as many as X-Total-Count says."""
    campus = client("infinite_campus")
    ids = all_ids(campus, resource)
    assert ids == sorted(set(ids))
    assert len(ids) == int(campus.roster(resource).headers["x-total-count"])


def test_limit_is_clamped_without_a_word(client: Any, sandbox: SandboxProcess) -> None:
    """More than the cap is answered with the cap."""
    sandbox.knobs("oneroster", page_cap=10)
    answer = client("oneroster").roster("students", limit=5000)
    assert (answer.status, len(answer.json["users"])) == (200, 10)


def test_total_and_link_can_be_missing(client: Any, sandbox: SandboxProcess) -> None:
    """Two knobs drop one header each."""
    held = client("oneroster")
    assert 'rel="next"' in held.roster("students", limit=10).headers["link"]
    sandbox.knobs("oneroster", send_total=False, send_link=False)
    assert not {"link", "x-total-count"} & set(held.roster("students", limit=10).headers)


def test_every_id_of_an_enrollment_can_be_looked_up(client: Any) -> None:
    """User, class and school of an enrollment are rows of their resources."""
    held = client("skyward")
    for row in held.roster("enrollments", limit=5, offset=300).json["enrollments"]:
        for field, resource in (("user", "users"), ("class", "classes"), ("school", "orgs")):
            assert held.roster(f"{resource}/{row[field]['sourcedId']}").status == 200


def test_skyward_shape_1_1(client: Any, sandbox: SandboxProcess) -> None:
    """Role and orgs instead of roles, booleans as text, other sourcedIds, other base."""
    held = client("skyward")
    new = held.roster("students", limit=1).json["users"][0]
    sandbox.knobs("skyward", oneroster_version="1.1", students_envelope="students")
    old = held.get("/api/ims/oneroster/v1p1/students?limit=1").json["students"][0]
    assert (old["role"], old["enabledUser"], "roles" in old) == ("student", "true", False)
    assert new["roles"][0]["role"] == "student"
    assert old["sourcedId"] != new["sourcedId"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("role='student'", STUDENTS),
        ("role='nobody'", 0),
        ("status!='active'", 0),
        ("dateLastModified>='2020-01-01'", None),
        ("givenName~'a' OR givenName!~'a'", 400),
        ("nonsense='1'", 400),
        ("status=active", 400),
    ],
)
def test_filter_is_real(client: Any, text: str, expected: int | None) -> None:
    """What matches is listed and counted; what is no filter is a 400."""
    answer = client("infinite_campus").roster("users", filter=text, limit=1)
    if expected == 400:
        assert answer.status == 400
    elif expected is not None:
        assert int(answer.headers["x-total-count"]) == expected
    else:
        assert int(answer.headers["x-total-count"]) > STUDENTS


@pytest.mark.parametrize(("mode", "status", "rows"), [
    ("refuse", 400, None), ("ignore", 200, STUDENTS), ("empty", 200, 0),
])  # fmt: skip
def test_servers_that_know_no_filter(
    client: Any, sandbox: SandboxProcess, mode: str, status: int, rows: int | None
) -> None:
    """They refuse, ignore it, or answer with nothing."""
    sandbox.knobs("oneroster", filter_mode=mode)
    answer = client("oneroster").roster("students", filter="givenName='nobody'")
    assert answer.status == status
    assert rows is None or int(answer.headers["x-total-count"]) == rows


def test_delta_holds_what_churn_changed(client: Any, sandbox: SandboxProcess) -> None:
    """DateLastModified moves for inserted and updated rows and for no other."""
    held = client("infinite_campus")
    done = sandbox.churn("infinite_campus", resource="students", insert=3, update=4, delete=2)
    query = f"dateLastModified>='{done['dateLastModified']}'"
    rows = held.roster("students", filter=query).json["users"]
    assert {row["sourcedId"] for row in rows} == {*done["inserted"], *done["updated"]}
    gone = [held.roster(f"students/{each}").status for each in done["deleted"]]
    assert gone == [404, 404]
    ids = all_ids(held, "students")
    assert len(ids) == STUDENTS + 1
    assert not {*done["deleted"]} & {*ids}


def test_deleted_rows_can_stay_as_tobedeleted(client: Any, sandbox: SandboxProcess) -> None:
    """The other way of servers to delete."""
    held = client("oneroster")
    sandbox.churn("oneroster", resource="classes", delete=2, delete_style="tobedeleted")
    answer = held.roster("classes", filter="status='tobedeleted'")
    assert answer.headers["x-total-count"] == "2"


def test_churn_between_two_pages_shifts_the_second(client: Any, sandbox: SandboxProcess) -> None:
    """A deletion before the second page makes a reader by offset miss a row."""
    held = client("oneroster")
    whole = all_ids(held, "students")
    first = held.roster("students", limit=100).json["users"]
    done = sandbox.churn("oneroster", resource="students", delete=20)
    before = [each for each in done["deleted"] if each <= first[-1]["sourcedId"]]
    assert before
    second = held.roster("students", limit=100, offset=100).json["users"]
    survivors = [each for each in whole if each not in done["deleted"]]
    assert second[0]["sourcedId"] == survivors[100]
    assert second[0]["sourcedId"] != whole[100]


def test_churn_every_moves_a_list_under_its_reader(client: Any, sandbox: SandboxProcess) -> None:
    """With the knob no request to the control plane is needed."""
    held = client("oneroster")
    sandbox.knobs("oneroster", churn_every=1)
    all_ids(held, "students")
    assert sandbox.stats("oneroster")["churns"] >= 4


def test_powerschool_clamps_or_refuses(client: Any, sandbox: SandboxProcess) -> None:
    """Pagesize above the maximum of the metadata is one of two things."""
    held = client("powerschool")
    maximum = held.get("/ws/v1/metadata").json["metadata"]["student_max_page_size"]
    answer = held.get("/ws/v1/district/student?pagesize=1000")
    assert len(answer.json["students"]["student"]) == maximum == 100
    sandbox.knobs("powerschool", over_cap="refuse")
    assert held.get("/ws/v1/district/student?pagesize=1000").status == 400


def test_powerschool_gives_one_row_as_an_object(client: Any) -> None:
    """The last page of 230 by 229 holds one."""
    held = client("powerschool")
    assert isinstance(
        held.get("/ws/v1/district/student?pagesize=1").json["students"]["student"], dict
    )
    past = held.get("/ws/v1/district/student?page=99").json["students"]["student"]
    assert past == []


def test_powerschool_expands_only_on_demand(client: Any) -> None:
    """What was not asked for is absent, what is empty is an empty text."""
    held = client("powerschool")
    path = "/ws/v1/district/student?pagesize=2"
    plain = held.get(path).json["students"]
    assert "demographics" in plain["@expansions"]
    assert "demographics" not in plain["student"][0]
    row = held.get(f"{path}&expansions=demographics,alerts").json["students"]["student"][0]
    assert (row["alerts"], "birth_date" in row["demographics"]) == ("", True)


def test_powerquery_and_rest_tell_the_same(client: Any) -> None:
    """Ids of the queries are those of the resources."""
    held = client("powerschool")
    record = held.send("POST", f"{QUERY}.sections?pagesize=0").json["record"]
    school = record[0]["school_dcid"]
    rest = held.get(f"/ws/v1/school/{school}/section").json["sections"]["section"]
    staff = held.get(f"/ws/v1/school/{school}/staff").json["staffs"]["staff"]
    assert [str(row["id"]) for row in rest][:3] == [row["id"] for row in record][:3]
    assert record[0]["teacher_id"] in {str(row["id"]) for row in staff}
    enrolled = held.get(f"/ws/v1/section/{record[0]['id']}/section_enrollment").json
    listed = {str(row["id"]) for row in enrolled["section_enrollments"]["section_enrollment"]}
    every = held.send("POST", f"{QUERY}.enrollments?pagesize=0&count=true").json
    asked = {row["id"] for row in every["record"] if row["section_id"] == record[0]["id"]}
    assert asked == listed
    assert every["count"] == len(every["record"]) == STUDENTS * 6


def test_without_the_plugin_its_queries_are_unknown(client: Any, sandbox: SandboxProcess) -> None:
    """404 in PowerSchool's shape."""
    sandbox.knobs("powerschool", plugin_installed=False)
    answer = client("powerschool").send("POST", f"{QUERY}.sections")
    assert (answer.status, set(answer.json)) == (404, {"message", "errors"})


@pytest.mark.parametrize("request_", [
    {"insert": -1}, {"resource": "courses", "delete": 1}, {"nope": 1},
    {"update": 1, "at": "0001-01-01T00:00:00+14:00"},
])  # fmt: skip
def test_churn_that_cannot_be_is_refused(sandbox: SandboxProcess, request_: Any) -> None:
    """400, and nothing has changed."""
    with pytest.raises(HTTPError, match="400"):
        sandbox.churn("skyward", **request_)
    assert sandbox.stats("skyward")["churns"] == 0


BAD = ["limit=0", "limit=-1", "limit=abc", "offset=-1", "limit=" + "9" * 5000, "limit=%00",
       "sort=nope", "orderBy=up", "fields=nope", "filter=", "filter='", "filter=a='b'%20AND",
       "page=0", "pagesize=x", "expansions=nope", "q=%27"]  # fmt: skip


@pytest.mark.parametrize("query", BAD)
def test_bad_parameters_are_the_clients_mistake(client: Any, query: str) -> None:
    """Never a 500, whatever is asked."""
    campus, powerschool = client("infinite_campus"), client("powerschool")
    base = "/campus/api/oneroster/v1p2/sisgate/ims/oneroster/rostering/v1p2/students"
    paths = [f"{base}?{query}", f"/ws/v1/district/student?{query}"]
    statuses = [campus.get(paths[0]).status, powerschool.get(paths[1]).status]
    assert 400 in statuses
    assert max(statuses) < 500
