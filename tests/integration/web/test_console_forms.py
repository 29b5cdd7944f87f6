"""Forms of the console that are filled in wrongly."""

import html
import re
from collections import Counter

import pytest

from sisgate import Gateway
from sisgate.domain.states import JobState
from sisgate.ledger import jobs
from testbed.console_visitor import ConsoleVisitor
from testbed.showroom import showroom
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken

TOKEN = {"name": "ada", "role": "viewer", "scopes": "*", "known": "1"}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/tokens/new", {**TOKEN, "days": "999999999"}),
        ("/tokens/new", {**TOKEN, "days": "0"}),
        ("/tokens/new", {**TOKEN, "days": "3", "role": "king"}),
        ("/providers/open/pause", {"until": "9999-12-31T23:59:59-14:00"}),
        ("/providers/open/pause", {"until": "0001-01-01T00:00:00+14:00"}),
        ("/providers/open/pause", {"until": "tomorrow"}),
        ("/providers/open/pause", {"until": "2h", "reason": "a\0b"}),
        ("/providers/open/limits", {"limits": "0/h"}),
        ("/providers/open/limits", {"limits": "99999999999999999999999/h"}),
        ("/providers/open/breakers", {"state": "ajar"}),
        ("/providers/open/breakers", {"state": "open", "endpoint": "99"}),
        ("/providers/open/rotate", {"slot": "third"}),
        ("/datasets/open/students/sync", {"mode": "fast"}),
        ("/datasets/open/students/sync", {"priority": "9"}),
        ("/alerts/al_1/silence", {"until": "9999-12-31T23:59:59-14:00"}),
        ("/jobs/bulk/retry", {"q": "\0"}),
        ("/webhooks/wh_1/pause", {"reason": "\0"}),
    ],
)
def test_a_value_that_cannot_be_is_told_in_words(
    service: WebService,
    gateway: Gateway,
    make_token: MakeToken,
    caplog: pytest.LogCaptureFixture,
    path: str,
    fields: dict[str, str],
) -> None:
    """On a page, with a status of the visitor's mistake and nothing in the log."""
    with ConsoleVisitor(service, make_token("root", "admin")) as visitor:
        answer = visitor.send(path, **fields)
    assert answer.status_code in {404, 422}, answer.headers.get("Location")
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []


@pytest.mark.parametrize(
    ("path", "wrong", "right"),
    [
        ("/providers/open/pause", {"until": "soon"}, {"reason": "maintenance <1>"}),
        ("/providers/open/pause", {"until": "2001-01-01"}, {"reason": "the past"}),
        ("/providers/open/limits", {"limits": "fast"}, {"reason": "x"}),
        ("/providers/open/breakers", {"until": "soon"}, {"state": "open", "reason": "x"}),
        ("/tokens/new", {"days": "many"}, {**TOKEN, "role": "operator", "sight": "yes"}),
        ("/tokens/new", {"name": "a b"}, {**TOKEN, "days": "3"}),
        ("/tokens/new", {"scopes": "a/b/c"}, {**TOKEN, "days": "3"}),
    ],
)
def test_a_mistake_shows_the_form_again_with_what_was_typed(
    service: WebService,
    make_token: MakeToken,
    path: str,
    wrong: dict[str, str],
    right: dict[str, str],
) -> None:
    """And with what is wrong at its field, which has the focus."""
    with ConsoleVisitor(service, make_token("root", "admin")) as visitor:
        answer = visitor.send(path, **{**right, **wrong})
    assert answer.status_code == 422
    ((name, value),) = wrong.items()
    field = re.search(rf'<input name="{name}"[^>]*>\s*(<small[^>]*>)', answer.text)
    assert field is not None
    for part in (f'value="{value}"', "autofocus", 'aria-invalid="true"', 'id="mistake"'):
        assert part in field[0]
    assert answer.text.count("autofocus") == 1
    for name, value in right.items() - wrong.items():
        if name == "sight":
            assert re.search('name="sight" value="yes" checked', answer.text)
        elif name in {"role", "state"}:
            assert f'value="{value}" selected' in answer.text
        elif name != "known" and name not in wrong:
            assert f'value="{html.escape(value)}"' in answer.text
    assert 'name="mark"' in answer.text


def test_a_filter_that_is_wrong_can_be_put_right(
    service: WebService, make_token: MakeToken
) -> None:
    """Its page says what is wrong, with what was typed, and follows nothing."""
    with ConsoleVisitor(service, make_token("root", "admin")) as visitor:
        for path in ("/audit?actor=ana&since=soon", "/errors?provider=open&since=soon"):
            page = visitor.get(path)
            assert page.status_code == 422
            assert 'role="alert"' in page.text
            assert "hx-sse:connect" not in page.text
        assert 'name="actor" value="ana"' in visitor.get("/audit?actor=ana&since=soon").text
        assert 'name="since" value="soon"' in visitor.get("/audit?since=soon").text


def test_a_reason_is_asked_for_and_kept(
    service: WebService, gateway: Gateway, make_token: MakeToken
) -> None:
    """Of one job, and of all that match, each of which has it."""
    jobs_ = [gateway.sync("open", each).id for each in ("students", "teachers", "classes")]
    with ConsoleVisitor(service, make_token("root", "admin")) as visitor:
        assert 'name="reason"' in visitor.get(f"/jobs/{jobs_[0]}/cancel").text
        visitor.send(f"/jobs/{jobs_[0]}/cancel", reason="by mistake")
        assert 'name="reason"' in visitor.get("/jobs/bulk/cancel?q=provider:open").text
        visitor.send("/jobs/bulk/cancel", q="provider:open", of="2", reason="too many")
        visitor.send("/jobs/bulk/retry", q="provider:open", of="3", reason="go on")
    events = [each for each in gateway.audit.tail(limit=50) if each.action.startswith("jobs:job:")]
    found = Counter((each.action, each.reason) for each in events if each.reason)
    assert found == {
        ("jobs:job:cancel", "by mistake"): 1, ("jobs:job:cancel", "too many"): 2,
        ("jobs:job:retry", "go on"): 3,
    }  # fmt: skip


def test_every_action_of_the_console_asks_why() -> None:
    """Whatever it begins, changes or ends; those who look after something say what they do."""
    asking = []
    with showroom(rich=True) as room, ConsoleVisitor(room.service) as visitor:
        for path in room.addresses():
            page = visitor.get(path).text
            if 'class="panel narrow" method="post"' in page:
                asking.append(path)
                assert re.search(r'<input name="(reason|note|fixed_in)"', page), path
    assert len(asking) >= 20


def test_the_beginning_of_an_id_leads_to_its_job(
    service: WebService, gateway: Gateway, make_token: MakeToken
) -> None:
    """As commands print and take it. Where nothing is, the page says where to look."""
    job = gateway.sync("open", "students").id
    for own in ("Nightly-1", "Nightly-10"):
        gateway.sync("open", "students", job_id=own)
    with ConsoleVisitor(service, make_token("root", "admin")) as visitor:
        for path in ("/jobs/{}", "/jobs/{}/cancel"):
            answer = visitor.get(path.format(job[:8]) + "?a=b")
            assert answer.status_code == 303
            assert answer.headers["Location"] == f"{path.format(job)}?a=b"
        assert visitor.get("/jobs/Nightly-1").status_code == 200
        missing = visitor.get("/jobs/00000000")
        assert missing.status_code == 404
        assert "`" not in missing.text
        assert "sisgate jobs list" not in missing.text
        for link in ("/search?q=00000000", "/jobs", "/"):
            assert f'href="{link}"' in missing.text.partition("<main")[2]


def test_deletions_are_not_approved_without_saying_that_they_are_right(
    service: WebService, gateway: Gateway, make_token: MakeToken
) -> None:
    """The browser asks for it; a form that was sent without is not enough."""
    job = gateway.sync("open", "students")
    with gateway.context.database.write() as session:
        jobs.end(session, jobs.get(session, job.id), JobState.HELD, gateway.context.clock.now())
    with ConsoleVisitor(service, make_token("root", "admin")) as visitor:
        assert 'name="sure"' in visitor.get(f"/held/{job.id}").text
        unsure = visitor.send(f"/held/{job.id}")
        assert unsure.status_code == 422
        assert "Check at the provider first, and say so" in unsure.text
        assert 'name="sure"' in unsure.text
        assert len(gateway.jobs.search("provider:open")) == 1
        assert visitor.send(f"/held/{job.id}", sure="yes").status_code == 303
    assert len(gateway.jobs.search("provider:open")) == 2


def test_reloading_the_page_of_a_new_token_makes_no_second_one(
    service: WebService, gateway: Gateway, make_token: MakeToken
) -> None:
    """The browser sends the form again. One that is opened anew makes another."""
    with ConsoleVisitor(service, make_token("root", "admin")) as visitor:
        for made in (2, 3):
            page = visitor.get("/tokens/new").text
            hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w*)"', page))
            form = {**TOKEN, "days": "3", **hidden}
            assert visitor.send("/tokens/new", **form).status_code == 200
            assert visitor.send("/tokens/new", **form).status_code == 409
            assert len(gateway.tokens.list()) == made
