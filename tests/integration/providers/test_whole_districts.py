"""Each kind against its simulated server: a small district, page by page, to the last row."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from sisgate.domain.records import ROSTER, Row
from sisgate.providers.dialect import Dialect, DialectOptions, Listing, Page, Position
from sisgate.providers.http import HttpRequest, HttpResponse
from sisgate.providers.kinds import DIALECTS
from sisgate.sandbox.process import RunningDistrict, SandboxProcess
from sisgate.sandbox.spec import DistrictSpec, SandboxSpec
from tests.contract.providers.binding import problems_of

STUDENTS = 260
DISTRICTS = {
    "powerschool": DistrictSpec("powerschool", "powerschool", students=STUDENTS, quota=None),
    "powerschool_plain": DistrictSpec(
        "powerschool_plain",
        "powerschool",
        students=60,
        quota=None,
        knobs={"plugin_installed": False},
    ),
    "infinite_campus": DistrictSpec(
        "infinite_campus", "infinite_campus", students=STUDENTS, quota=None
    ),
    "skyward": DistrictSpec("skyward", "skyward", students=STUDENTS, quota=None),
    "oneroster": DistrictSpec("oneroster", "oneroster", students=STUDENTS, quota=None),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    """All districts in one process, for this module."""
    with SandboxProcess(SandboxSpec(districts=tuple(DISTRICTS.values()))) as process:
        yield process


@dataclass
class Reader:
    """Reads a district with a plain session, one page after the other."""

    district: RunningDistrict
    options: DialectOptions = field(default_factory=DialectOptions)
    session: requests.Session = field(default_factory=requests.Session)
    calls: int = 0

    def __post_init__(self) -> None:
        if self.district.kind == "infinite_campus":
            base = urlsplit(self.district.oneroster_base or "").path
            self.options = replace(self.options, base_path=base)
        pair = (self.district.client_id, self.district.client_secret)
        form = {"grant_type": "client_credentials", "scope": self.dialect.token_scope() or ""}
        answer = self.session.post(self.district.token_url, data=form, auth=pair, timeout=30)
        self.session.headers["authorization"] = f"Bearer {answer.json()['access_token']}"

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.district.kind](self.options)

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send one request as the transport will."""
        self.calls += 1
        url = self.district.url + request.path
        answer = self.session.request(
            request.method,
            url,
            params=list(request.query),
            json=request.json_body,
            headers=dict(request.headers),
            timeout=30,
        )
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return HttpResponse(answer.status_code, headers, answer.content, url=url)

    def read(self, resource: str, since: datetime | None = None) -> dict[str, Row]:
        """Return every record of a resource by sourcedId."""
        rows: dict[str, Row] = {}
        waiting = self.dialect.plan(resource, since=since)
        while waiting:
            listing = waiting.pop()
            for page in self._pages(resource, listing, waiting):
                rows |= {row.sourced_id: row for row in page.rows}
        return rows

    def _pages(self, resource: str, listing: Listing, waiting: list[Listing]) -> Iterator[Page]:
        counted, received = self._count(listing), 0
        position = Position(size=listing.page_size)
        while True:
            response = self.send(self.dialect.page_request(listing, position))
            if response.status != 200:
                error = self.dialect.read_error(response)
                instead = self.dialect.fallback(resource, listing, response.status)
                assert instead, f"{listing.path}: {error}"
                waiting += instead
                return
            page = self.dialect.read_page(resource, listing, position, response)
            yield page
            waiting += page.listings
            received += page.received
            total = page.total if page.total is not None else counted
            if page.more is False or page.received == 0 or total == received:
                assert total in (None, received)
                return
            position = replace(position, start=received, page=position.page + 1, link=page.link)

    def _count(self, listing: Listing) -> int | None:
        request = self.dialect.count_request(listing)
        return None if request is None else self.dialect.read_count(listing, self.send(request))


CASES: dict[str, tuple[str, DialectOptions, dict[str, Any]]] = {
    "powerschool": ("powerschool", DialectOptions(), {}),
    "powerschool, single rows in lists": (
        "powerschool_plain",
        DialectOptions(page_size=40),
        {
            "plugin_installed": True,
            "single_row_object": False,
            "query_count": "never",
            "empty_list": "absent",
        },
    ),
    "powerschool without the plugin": ("powerschool_plain", DialectOptions(), {}),
    "infinite_campus": ("infinite_campus", DialectOptions(), {}),
    "skyward": ("skyward", DialectOptions(), {}),
    "skyward 1.1": ("skyward", DialectOptions(version="1.1"), {"oneroster_version": "1.1"}),
    "oneroster": ("oneroster", DialectOptions(), {"page_cap": 90}),
    "oneroster, nothing told": (
        "oneroster",
        DialectOptions(page_size=80),
        {"send_total": False, "send_link": False, "students_envelope": "students"},
    ),
    "oneroster 1.1": ("oneroster", DialectOptions(version="1.1"), {"oneroster_version": "1.1"}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_whole_district_is_read(sandbox: SandboxProcess, case: str) -> None:
    """As many records as the server has rows, in canonical form, and nothing dangles."""
    name, options, knobs = CASES[case]
    sandbox.reset(name)
    sandbox.knobs(name, **knobs)
    sizes = sandbox.districts[name].control("GET", "")["sizes"]
    reader = Reader(sandbox.districts[name], options)
    found = {resource: reader.read(resource) for resource in ROSTER}
    # OneRoster's terms leave out the whole year, to which a class may belong.
    years = "academicSessions" if "academicSessions" in reader.dialect.resources else "terms"
    sessions = reader.read(years)

    assert len(found["students"]) == len(found["demographics"]) == sizes["students"]
    assert len(found["teachers"]) == sizes["teachers"]
    assert len(found["classes"]) == sizes["classes"]
    assert len(found["orgs"]) == sizes["schools"] + 1
    of_students = [e for e in found["enrollments"].values() if e.data["role"] == "student"]
    assert len(of_students) == sizes["enrollments"]
    for enrollment in found["enrollments"].values():
        users = found["students"] if enrollment.data["role"] == "student" else found["teachers"]
        assert enrollment.data["user"]["sourcedId"] in users
        assert enrollment.data["class"]["sourcedId"] in found["classes"]
    for section in found["classes"].values():
        assert section.data["school"]["sourcedId"] in found["orgs"]
        assert {term["sourcedId"] for term in section.data["terms"]} <= sessions.keys()
        if "course" in section.data:
            assert section.data["course"]["sourcedId"] in found["courses"]
    for resource in ROSTER:
        for row in found[resource].values():
            assert problems_of(reader.dialect.kind, resource, row.data) == []
    for student in found["students"].values():
        (role,) = student.data["roles"]
        assert role["org"]["sourcedId"] in found["orgs"]


def test_powerschool_with_and_without_the_plugin_is_the_same_district(
    sandbox: SandboxProcess,
) -> None:
    """Reading without it changes nothing of what it told, and it spends far fewer calls."""
    district = sandbox.districts["powerschool_plain"]
    sandbox.reset("powerschool_plain")
    plain = Reader(district)
    slow = {resource: plain.read(resource) for resource in ("classes", "enrollments")}
    sandbox.knobs("powerschool_plain", plugin_installed=True)
    quick = Reader(district)
    fast = {resource: quick.read(resource) for resource in ("classes", "enrollments")}
    assert plain.calls > 5 * quick.calls
    for resource in ("classes", "enrollments"):
        assert fast[resource].keys() == slow[resource].keys()
        for sourced_id, row in fast[resource].items():
            assert slow[resource][sourced_id].completed(row.data).data == row.data


def test_a_refusal_is_read_and_an_expired_token_is_told(sandbox: SandboxProcess) -> None:
    """Each kind's own words for a denied resource and for a token that is over."""
    for name in ("powerschool", "skyward", "infinite_campus", "oneroster"):
        sandbox.reset(name)
        reader = Reader(sandbox.districts[name])
        probe = reader.dialect.probe_request()
        assert reader.send(probe).status == 200
        sandbox.knobs(name, deny=[probe.path])
        denied = reader.send(probe)
        assert denied.status in (401, 403)
        assert not reader.dialect.token_expired(denied)
        assert "ermission" in reader.dialect.read_error(denied).message or denied.status == 403
        sandbox.knobs(name, deny=[])
        sandbox.expire_tokens(name)
        assert reader.dialect.token_expired(reader.send(probe))


@pytest.mark.parametrize("name", ["oneroster", "skyward", "infinite_campus"])
def test_a_delta_has_what_changed_and_the_boundary(sandbox: SandboxProcess, name: str) -> None:
    """What changed since the newest time that was seen, and the rows of that time again."""
    sandbox.reset(name)
    reader = Reader(sandbox.districts[name])
    before = reader.read("students")
    seen = [row.last_modified for row in before.values() if row.last_modified]
    assert len(seen) == len(before)
    done = sandbox.churn(name, resource="students", update=3)
    changed = reader.read("students", since=max(seen))
    assert set(done["updated"]) <= set(changed)
    boundary = {sid for sid, row in before.items() if row.last_modified == max(seen)}
    assert boundary <= set(changed)
    assert len(changed) < len(before)
