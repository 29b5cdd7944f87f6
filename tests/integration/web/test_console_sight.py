"""Payload sight: who sees student data on pages, and what the audit log has of it."""

import re
from datetime import timedelta

import pytest

from sisgate import Gateway
from sisgate.credentials.vault import vault_of
from sisgate.domain.states import JobState
from sisgate.ledger import jobs
from sisgate.ledger.schema import Response
from testbed.console_visitor import ConsoleVisitor
from testbed.web_service import WebService
from tests.contract.ledger.rows import NOW, row, write
from tests.integration.web.conftest import MakeToken

CANARY = "Adelheid-Zimmermann"
STUDENTS = "/datasets/lincoln/students"
METADATA = [(f"{STUDENTS}/records", {"start": "stu"}), (f"{STUDENTS}/record", {"id": "stu-1"})]
DATA = [(f"{path}/data", fields) for path, fields in METADATA]


@pytest.fixture
def job(gateway: Gateway) -> str:
    """A request whose path and response name the student of a dataset; both are stored."""
    write(gateway.context.database, [row("stu-1", CANARY), row("stu-2")])
    job = gateway.enqueue_request("lincoln", "GET", f"/students/{CANARY}").id
    sealed = vault_of(gateway.settings).seal(f'{{"name": "{CANARY}"}}'.encode(), f"responses/{job}")
    with gateway.context.database.write() as session:
        kept_until = NOW + timedelta(days=36500)
        session.add(Response(job_id=job, status=200, headers={}, sealed_body=sealed,
                             truncated=False, delete_after=kept_until))  # fmt: skip
    return job


def disclosures(gateway: Gateway) -> list[str]:
    """Return why somebody was given the student's data, oldest first."""
    found = gateway.audit.disclosures("lincoln", "stu-1", actor="auditor")
    return [f"{each.actor.split(' ')[0]}: {each.what} for {each.purpose}" for each in found]


@pytest.mark.parametrize("roles", [("viewer",), ("operator",), ("admin",)], ids="+".join)
def test_no_role_has_payload_sight_by_itself(
    service: WebService, gateway: Gateway, make_token: MakeToken, job: str, roles: tuple[str, ...]
) -> None:
    """Ids, times and fingerprints are shown, and what is missing is said; nothing is disclosed."""
    with ConsoleVisitor(service, make_token("ana", *roles)) as visitor:
        pages = {path: visitor.send(path, **fields) for path, fields in METADATA}
        pages |= {path: visitor.get(path) for path in (f"{STUDENTS}/changes", f"/jobs/{job}")}
        for path, page in pages.items():
            assert page.status_code == 200, path
            assert CANARY not in page.text
            assert "stu-1" in page.text or path.startswith("/jobs")
            assert "payload sight" in page.text or "changes" in path
        for path, fields in (*DATA, (f"/jobs/{job}/payload", {})):
            refused = visitor.send(path, purpose="a call", **fields)
            assert refused.status_code == 403, path
            assert CANARY not in refused.text
    assert disclosures(gateway) == []
    refusals = [e for e in gateway.audit.tail(limit=50) if e.action == "access:sight:refuse"]
    assert len(refusals) == len(DATA) + 1


@pytest.mark.parametrize("roles", [("viewer", "sight"), ("operator", "sight")], ids="+".join)
def test_each_look_with_payload_sight_is_a_disclosure(
    service: WebService, gateway: Gateway, make_token: MakeToken, job: str, roles: tuple[str, ...]
) -> None:
    """With its purpose, without which nothing is shown; looking at ids is none."""
    with ConsoleVisitor(service, make_token("ana", *roles)) as visitor:
        for path, fields in METADATA:
            assert CANARY not in visitor.send(path, purpose="a call", **fields).text
        assert CANARY not in visitor.get(f"/jobs/{job}").text
        for path, fields in DATA:
            unstated = visitor.send(path, purpose=" ", **fields)
            assert (unstated.status_code, CANARY in unstated.text) == (422, False)
            assert "Say why you look at student data" in unstated.text
            assert "Show student data" in unstated.text
        assert disclosures(gateway) == []
        for path, fields in (*DATA, (f"/jobs/{job}/payload", {})):
            page = visitor.send(path, purpose="a call", **fields)
            assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
            assert CANARY in page.text
            assert "Reloading the page is another look" in page.text
            assert "hx-sse:connect" not in page.text, "each turn of a stream would be a look"
    assert disclosures(gateway) == ["ana: records for a call"] * 2


def test_no_address_holds_a_purpose_or_an_id(
    service: WebService, gateway: Gateway, make_token: MakeToken, job: str
) -> None:
    """Browsers and proxies keep addresses: a look is a form, and so is what leads to a record."""
    database = gateway.context.database
    write(database, [row("stu-1", CANARY), *(row(f"stu-{n}") for n in range(100, 160))])
    with ConsoleVisitor(service, make_token("ana", "viewer", "sight")) as visitor:
        page = visitor.send(f"{STUDENTS}/records/data", purpose="a call").text
        assert 'name="purpose" value="a call"' in page, "the next page needs it"
        assert not re.findall('(?:href|action)="[^"]*(?:purpose|call)', page)
        record = visitor.send(f"{STUDENTS}/record/data", id="stu-1", purpose="a call").text
        asked = visitor.send("/disclosures", provider="lincoln", person="stu-1").text
        plain = [visitor.get(f"{STUDENTS}/{each}").text for each in ("records", "changes")]
        plain.append(visitor.send(f"{STUDENTS}/record", id="stu-1").text)
        for text in (page, record, asked, *plain):
            assert not re.findall('(?:href|action)="[^"]*stu-', text)
        assert all("stu-1" in each for each in (page, record, *plain))
        for path in (f"{STUDENTS}/records?purpose=x", f"{STUDENTS}/record?id=stu-1&purpose=x"):
            assert CANARY not in visitor.get(path).text
        assert visitor.get(f"/jobs/{job}/payload").headers["Location"] == f"/jobs/{job}"
    assert len(disclosures(gateway)) == 2


def test_payload_sight_reaches_as_far_as_its_scopes(
    service: WebService, gateway: Gateway, make_token: MakeToken, job: str
) -> None:
    """Of another dataset, nor of the requests of a provider, nothing is shown."""
    token = make_token("ana", "viewer", "sight", scopes=("lincoln/students",))
    with ConsoleVisitor(service, token) as visitor:
        assert visitor.send(f"{STUDENTS}/records/data", purpose="x").status_code == 200
        refused = visitor.send("/datasets/lincoln/classes/records/data", purpose="x")
        assert refused.status_code == 403
        assert visitor.send(f"/jobs/{job}/payload", purpose="x").status_code == 404


def test_an_open_installation_shows_student_data_to_who_logs_in(
    open_service: WebService, gateway: Gateway, make_token: MakeToken, job: str
) -> None:
    """Whoever comes to the port may do everything but that."""
    with ConsoleVisitor(open_service) as visitor:
        visitor.mark = visitor.own_mark()
        assert visitor.send(f"{STUDENTS}/records/data", purpose="a call").status_code == 403
        assert visitor.get("/login").status_code == 200
        visitor.log_in(make_token("ana", "operator", "sight"))
        assert CANARY in visitor.send(f"{STUDENTS}/records/data", purpose="a call").text
        visitor.http.cookies.set("sisgate_session", "of-another-installation")
        assert visitor.get("/").status_code == 200
    assert disclosures(gateway) == ["ana: records for a call"]
    assert job


def test_disclosures_of_a_person_are_for_admins(
    service: WebService, gateway: Gateway, make_token: MakeToken, job: str
) -> None:
    """By the person's id; the question is audited."""
    list(gateway.records("lincoln", "students", purpose="attendance letters"))
    path, of = "/disclosures", {"provider": "lincoln", "person": "stu-1"}
    with ConsoleVisitor(service, make_token("ada", "admin")) as visitor:
        assert "attendance letters" in visitor.send(path, **of).text
        assert "Nobody was given" in visitor.send(path, provider="lincoln", person="x").text
        unknown = visitor.send(path, provider="nowhere", person="x")
        assert unknown.status_code == 404
        assert 'name="provider" value="nowhere"' in unknown.text, "the form is still there"
        late = visitor.send(path, since="soon", **of)
        assert late.status_code == 422
        assert 'name="since" value="soon"' in late.text
        assert 'name="person" value="stu-1"' in late.text
    with ConsoleVisitor(service, make_token("otto", "operator", "sight")) as visitor:
        assert visitor.send(path, **of).status_code == 403
    asked = [e for e in gateway.audit.tail() if e.action == "audit:person:disclosures"]
    assert {e.actor.split(" ")[0] for e in asked} == {"ada"}
    assert job


def test_a_held_sync_shows_what_it_would_delete(
    service: WebService, gateway: Gateway, make_token: MakeToken, job: str
) -> None:
    """Ids to everybody who sees the job, the approval to operators, data with payload sight."""
    held = gateway.sync("lincoln", "students").id
    write(gateway.context.database, [row("stu-2")], generation=2)
    with gateway.context.database.write() as session:
        it = jobs.get(session, held)
        it.mode, it.complete, it.generation = "full", True, 2
        jobs.end(session, it, JobState.HELD, gateway.context.clock.now())
    path = f"/held/{held}"
    with ConsoleVisitor(service, make_token("vera", "viewer")) as visitor:
        page = visitor.get(path).text
        assert "stu-1" in page
        assert "stu-2" not in page
        assert "1 absent" in page
        assert "Approve the deletions" not in page
        assert visitor.send(path, sure="yes").status_code == 403
        assert "Nothing would be deleted" in visitor.send(f"{path}/records", start="stu-2").text
    with ConsoleVisitor(service, make_token("otto", "operator", "sight")) as visitor:
        page = visitor.get(path).text
        assert "Approve the deletions" in page
        assert CANARY not in page
        opened = visitor.send(f"{path}/data", purpose="is it right").text
        assert CANARY in opened
        assert visitor.get(f"{path}/data").headers["Location"] == path
        (action,) = re.findall('<form class="panel narrow" method="post" action="(.*)">', opened)
        assert visitor.send(action, sure="yes").status_code == 303
    assert disclosures(gateway) == ["otto: records for is it right"]
    assert job
