"""Every command's table at 80 columns, with ids and names as long as they come: nothing is lost."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from sisgate.cli.main import execute
from sisgate.clock import SystemClock
from sisgate.domain.records import Row
from sisgate.domain.states import CallState, JobState
from sisgate.gateway import Gateway, Job
from sisgate.ledger import datasets, jobs, records
from sisgate.ledger.schema import Attempt, Call
from sisgate.settings import load_settings
from tests.integration.screens.conftest import InstallHere

PROVIDER = "consolidated-school-district-no-0042"
APP = "5b1d8c1e-52b5-4a9e-9a53-6d5d7c1f0a77"
PERSON = "9d6f6d1c-3a52-4b1b-8a3e-0d9f6f7a1b2c"
CLIENT = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
ENDPOINT = "endpoint-of-the-district.sis-provider.test"
SCHEDULE = "nightly-schedule-of-the-whole-distri"
ERROR = "The provider answered 503 Service Unavailable five times; the last try was at noon."
CONFIG = f"""
[providers.{PROVIDER}]
kind = "oneroster"
token_url = "https://{ENDPOINT}/token"
limit = ["1000/h", "20/s"]
[[providers.{PROVIDER}.endpoints]]
url = "https://{ENDPOINT}"

[schedules.{SCHEDULE}]
provider = "{PROVIDER}"
resources = ["students", "classes"]
cron = "0 2 * * *"
"""


@pytest.fixture
def gateway(install_here: InstallHere, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A ledger with something to show on each screen."""
    monkeypatch.setenv("SISGATE_APP", APP)
    install_here(CONFIG)
    gateway = Gateway(load_settings(), clock=SystemClock())
    execute(["keys", "add", PROVIDER, "--client-id", CLIENT, "--secret-file", "secret"])
    yield gateway
    gateway.close()


@pytest.fixture
def dead(gateway: Gateway) -> Job:
    """A request that was given up, with a call that was made."""
    job = gateway.enqueue_request(PROVIDER, "GET", "/orgs", query={"limit": "1"})
    now = gateway.context.clock.now()
    with gateway.context.database.write() as session:
        call = session.query(Call).filter_by(job_id=job.id).one()
        call.state, call.tries, call.attempt = CallState.FAILED.value, 5, 1
        session.add(
            Attempt(
                call_id=call.id, number=1, provider=PROVIDER, started_at=now, lease_until=now,
                ended_at=now, status=503,
            )
        )  # fmt: skip
        row = jobs.lock(session, job.id)
        assert row is not None
        row.calls_made = 12345
        error = {"code": "provider_unavailable", "message": ERROR}
        jobs.end(session, row, JobState.FAILED, now, error=error, dead=True)
    return job


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command writes for people at 80 columns, with its folded texts joined again."""
    capsys.readouterr()
    assert execute(list(words)) == 0
    text = capsys.readouterr().out
    # A command in backticks stays on one line, however long it is.
    assert all(len(re.sub("`[^`]+`", "", line)) <= 80 for line in text.splitlines()), text
    return " ".join(text.split())


def test_jobs(gateway: Gateway, dead: Job, capsys: pytest.CaptureFixture[str]) -> None:
    """App, error and all numbers beside the beginning of the id, which commands take."""
    waiting = gateway.sync(PROVIDER, "students")
    listed = shown(capsys, "jobs", "list")
    assert waiting.id[:8] in listed
    for value in (dead.id[:8], PROVIDER, APP, "students", "accepted", "12,345", ERROR):
        assert value in listed
    letters = shown(capsys, "jobs", "list", "--dead")
    for value in (dead.id[:8], PROVIDER, APP, ERROR):
        assert value in letters
    details = shown(capsys, "jobs", "show", dead.id[:8])
    for value in (dead.id, PROVIDER, APP, "GET /orgs?limit=1", "calls made 12,345", ERROR):
        assert value in details
    reviewed = shown(capsys, "jobs", "retry", f"provider:{PROVIDER}", "--dry-run")
    for value in ("1 job to retry: 1 failed", "1 accepted", dead.id, PROVIDER, APP):
        assert value in reviewed
    told = shown(capsys, "jobs", "timeline", dead.id)
    for value in (f"accepted from {APP}", "answered 503", f"failed: {ERROR}"):
        assert value in told
    glance = shown(capsys, "dashboard")
    for value in (PROVIDER, "1 job given up", "beat", "1 accepted"):
        assert value in glance
    enqueued = shown(capsys, "sync", PROVIDER, "classes", "--priority", "high")
    assert PROVIDER in enqueued
    assert "high" in enqueued


def test_what_a_request_asks_is_for_those_who_may_read(
    gateway: Gateway, dead: Job, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewer sees the job and its method, and why not the path."""
    token = gateway.tokens.add("viewer", ["viewer"], scopes=["*"], life=None, actor="x").token
    assert token is not None
    monkeypatch.setenv("SISGATE_TOKEN", token.get_secret_value())
    details = shown(capsys, "jobs", "show", dead.id)
    assert "/orgs" not in details
    assert f"GET (path not shown: you may not read {PROVIDER})" in details


def test_providers_breakers_and_limits(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is configured, and how it stands."""
    gateway.providers.breakers(PROVIDER).set("open", actor="ana", reason="they migrate")
    for words in (["providers"], ["providers", "show", PROVIDER]):
        text = shown(capsys, *words)
        for value in (PROVIDER, "1000/h", "20/s", "oneroster", "primary"):
            assert value in text
    text = shown(capsys, "breaker")
    for value in (PROVIDER, ENDPOINT, "open", "never"):
        assert value in text
    text = shown(capsys, "limits", "show", PROVIDER)
    assert "1000/h" in text
    assert "20/s" in text


def test_keys_and_tokens(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """Whole ids, as their commands take them."""
    (key,) = gateway.keys.of(PROVIDER).list()
    text = shown(capsys, "keys", "list")
    for value in (key.id, PROVIDER, "primary", "active", CLIENT, "unknown"):
        assert value in text
    assert key.id in shown(capsys, "keys", "usage", PROVIDER)
    assert str(gateway.settings.master_key_path) in shown(capsys, "keys", "masters")
    made = gateway.tokens.add(
        APP, ["app", "operator"], scopes=[f"{PROVIDER}/students"], life=timedelta(90), actor="x"
    )
    text = shown(capsys, "tokens", "list")
    for value in (made.id, APP, "app, operator", f"{PROVIDER}/students", "active", "expires"):
        assert value in text


def test_the_audit_log_usage_schedules_and_retention(
    dead: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was done, by whom, how often, and when again."""
    text = shown(capsys, "audit", "tail")
    for value in (dead.id, f"app:{APP}", "keys:", "detail"):
        assert value in text
    text = shown(capsys, "usage", "--by", "hour")
    for value in (PROVIDER, APP, "calls", "failed"):
        assert value in text
    text = shown(capsys, "schedules", "list")
    when = "at 02:00 every day in UTC (0 2 * * *)"
    for value in (SCHEDULE, PROVIDER, "students, classes", when, "02:00:00"):
        assert value in text
    assert "response_retention" in shown(capsys, "retention", "--dry-run")


def test_webhooks(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """What they tell, where, how that goes, and what doctor says of one that is paused."""
    url = f"https://{ENDPOINT}/sisgate"
    hook = gateway.webhooks.add(url, ["job.ended", "provider.degraded"], app=APP, note=ERROR[:60])
    sent = gateway.webhooks.test(hook.id)
    gateway.webhooks.pause(hook.id, actor="ana", reason="they migrate")
    text = shown(capsys, "webhooks", "list")
    for value in (hook.id, APP, "paused", "job.ended, provider.degraded", url):
        assert value in text
    text = shown(capsys, "webhooks", "show", hook.id)
    for value in (url, "paused", "Paused by ana: they migrate."):
        assert value in text
    text = shown(capsys, "webhooks", "deliveries", hook.id)
    for value in (str(sent.event.number), "webhook.test", "waiting"):
        assert value in text
    assert "the event is waiting" in shown(capsys, "webhooks", "deliveries", hook.id, "1")
    found = {result.subject: result for result in gateway.diagnosis.run()}
    assert "Paused by ana: they migrate." in found[f"webhook {hook.id}"].what


def test_records(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    """The fields that are not shown are named."""
    data = {"sourcedId": PERSON, "givenName": "Ada", "middleName": "B"}
    with gateway.context.database.write() as session:
        dataset = datasets.lock(session, PROVIDER, "students")
        records.write_page(
            session, dataset, [Row(PERSON, data, data)],
            job_id="j", generation=1, now=gateway.context.clock.now(),
        )  # fmt: skip
    capsys.readouterr()
    assert execute(["records", PROVIDER, "students"]) == 0
    captured = capsys.readouterr()
    assert PERSON in captured.out
    assert "Ada" in captured.out
    assert "middleName" in captured.err


def test_a_job_is_one_line_that_begins_with_id_and_state(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where names are as short as usual: whatever the others say comes behind."""
    configuration = gateway.configuration
    configuration.apply(configuration.plan_provider("powerschool", {
        "kind": "oneroster", "auth": "none", "endpoints": [{"url": "https://sis.test"}],
    }), actor="test")  # fmt: skip
    made = [gateway.sync("powerschool", each) for each in ("students", "enrollments")]
    with gateway.context.database.write() as session:
        row = jobs.lock(session, made[0].id)
        assert row is not None
        row.calls_made, row.rows_seen, row.inserted = 12, 29_326, 29_299
        jobs.end(session, row, JobState.DONE, gateway.context.clock.now())
    capsys.readouterr()
    assert execute(["jobs", "list"]) == 0
    head, _, new, old, apps = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["job", "state"]
    assert new.split()[:2] == [made[1].id[:8], "accepted"]
    assert old.split()[:2] == [made[0].id[:8], "done"]
    assert old.split()[-4:] == ["powerschool/students", "12", "29,326", "29,299/0/0"]
    assert apps == f"All are of the app {APP}."
