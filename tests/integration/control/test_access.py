"""What a gateway with a token does, and refuses to do."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from sisgate import Gateway
from sisgate.domain.secret import Secret
from sisgate.domain.states import JobState
from sisgate.errors import (
    AccessDenied,
    NotAuthenticated,
    ProviderRemoved,
    UnknownJob,
    UnknownProvider,
    UsageError,
)
from sisgate.ledger import audit_log, jobs
from sisgate.ledger.schema import AuditEvent

As = Callable[..., Gateway]


@pytest.fixture
def as_token(gateway: Gateway) -> As:
    """Return a gateway of the same fleet with a token of its own."""

    def made(name: str, *roles: str, scopes: tuple[str, ...] = ("*",), app: str = "") -> Gateway:
        token = gateway.tokens.add(name, roles, scopes=scopes).token
        update: dict[str, object] = {"token": token, "access": "tokens"}
        if app:
            update["app_name"] = app
        return Gateway(
            gateway.settings.model_copy(update=update), database=gateway.context.database
        )

    return made


def test_an_app_works_in_its_scopes_and_under_its_own_name(as_token: As) -> None:
    """The token says which app it is."""
    app = as_token("gradebook", "app", scopes=("lincoln/students",))
    job = app.sync("lincoln", "students")
    assert job.status().app == "gradebook"
    assert list(app.records("lincoln", "students")) == []
    assert list(app.changes("lincoln", "students")) == []
    for refused in (
        lambda: app.sync("lincoln", "classes"),
        lambda: app.sync("lincoln", "students", allow_deletes=True),
        lambda: app.sync("lincoln", "students", app="portal"),
        lambda: app.records("lincoln", "classes"),
        lambda: app.changes("open", "students"),
        # A request may lead anywhere at the provider, so its scope is the whole provider.
        lambda: app.enqueue_request("lincoln", "GET", "/ims/oneroster/v1p1/students"),
        lambda: app.providers.control("lincoln").pause(actor="gradebook"),
        lambda: app.providers.control("lincoln").set_limits("9/h", actor="gradebook"),
        lambda: app.plan("lincoln", "classes"),
        app.tokens.list,
    ):
        with pytest.raises(AccessDenied):
            refused()


def test_jobs_of_others_do_not_exist_for_an_app(gateway: Gateway, as_token: As) -> None:
    """They cannot be told from jobs that never were."""
    theirs = gateway.sync("lincoln", "students", app="portal")
    app = as_token("gradebook", "app")
    own = app.sync("lincoln", "classes")
    assert [status.id for status in app.jobs.list()] == [own.id]
    assert [status.id for status in app.jobs.statuses([own.id, theirs.id])] == [own.id]
    for work in (app.job, app.jobs.cancel, app.jobs.retry, app.answer, app.jobs.expected):
        with pytest.raises(UnknownJob) as unknown:
            work(theirs.id)
        assert str(unknown.value) == str(jobs.unknown(theirs.id))
    assert app.jobs.cancel(own.id).state == JobState.CANCELLED


def test_a_short_id_finds_only_what_who_asks_may_see(gateway: Gateway, as_token: As) -> None:
    """The beginning of another app's id is told from none at all by nothing, nor is it listed."""
    theirs = gateway.sync("lincoln", "students", app="portal", job_id="3f8a-theirs")
    own = as_token("gradebook", "app").sync("lincoln", "classes", job_id="3f8a-own")
    app, elsewhere = as_token("gradebook", "app"), as_token("eve", "viewer", scopes=("open",))
    assert app.jobs.find("3F8A") == own.id
    with pytest.raises(UnknownJob, match="begins with 3f8a-t"):
        app.jobs.find("3f8a-t")
    with pytest.raises(UnknownJob):
        elsewhere.jobs.find(own.id)
    with pytest.raises(UsageError, match="Several jobs"):
        gateway.jobs.find("3f8a")
    assert gateway.jobs.find("3f8a-t") == theirs.id


def test_a_token_for_one_provider_sees_that_one(gateway: Gateway, as_token: As) -> None:
    """Not a refusal because there are others, and nothing of the others."""
    for scope in ("lincoln", "lincoln/students"):
        viewer = as_token("eve", "viewer", scopes=(scope,))
        assert viewer.providers.names() == ["lincoln"]
        assert [one.name for one in viewer.providers.overview().providers] == ["lincoln"]
        assert [one.name for one in viewer.providers.overview("lincoln").providers] == ["lincoln"]
        with pytest.raises(AccessDenied):
            viewer.providers.overview("open")
    assert {"lincoln", "open"} <= set(gateway.providers.names())


def test_keys_are_listed_of_providers_whose_keys_one_may_manage(
    gateway: Gateway, as_token: As
) -> None:
    """A scope of one dataset is not one of the whole provider, which its keys open."""
    for name in ("lincoln", "open"):
        gateway.keys.of(name).add(f"client of {name}", Secret("s"), actor="ana")
    assert {key.provider for key in gateway.keys.list()} == {"lincoln", "open"}
    operator = as_token("ana", "operator", scopes=("lincoln", "open/students"))
    assert [key.provider for key in operator.keys.list()] == ["lincoln"]
    for one in (operator, as_token("gradebook", "app")):
        with pytest.raises(AccessDenied):
            one.keys.list("open")


def test_a_viewer_looks_and_an_operator_acts_and_neither_reads_students(
    gateway: Gateway, as_token: As
) -> None:
    """Operating the fleet is no reason to read student data."""
    job = gateway.sync("lincoln", "students", app="portal")
    viewer, operator = as_token("eve", "viewer"), as_token("ana", "operator")
    for one in (viewer, operator):
        assert [status.id for status in one.jobs.list()] == [job.id]
        for refused in (
            lambda one=one: one.records("lincoln", "students"),
            lambda one=one: one.changes("lincoln", "students"),
            lambda one=one: one.request("lincoln", "GET", "/x"),
            lambda one=one: one.answer(job.id),
        ):
            with pytest.raises(AccessDenied):
                refused()
    with pytest.raises(AccessDenied):
        viewer.jobs.cancel(job.id)
    operator.providers.control("lincoln").pause(actor="somebody else")
    assert operator.jobs.cancel(job.id).state == JobState.CANCELLED


def test_a_list_of_jobs_stays_in_the_scopes(gateway: Gateway, as_token: As) -> None:
    """Also when the newest ones are elsewhere."""
    inside = gateway.sync("lincoln", "students")
    for _ in range(3):
        gateway.sync("open", "students")
    viewer = as_token("eve", "viewer", scopes=("lincoln",))
    assert [status.id for status in viewer.jobs.list(limit=2)] == [inside.id]


def test_without_a_token_nothing_is_done_where_one_is_required(gateway: Gateway) -> None:
    """And everything where none is."""
    closed = gateway.settings.model_copy(update={"access": "tokens"})
    nobody = Gateway(closed, database=gateway.context.database)
    for refused in (
        lambda: nobody.sync("lincoln", "students"),
        lambda: nobody.records("lincoln", "students"),
        nobody.jobs.list,
        nobody.providers.control("lincoln").state,
    ):
        with pytest.raises(NotAuthenticated, match="SISGATE_TOKEN"):
            refused()
    assert gateway.jobs.list() == []


def test_an_app_cannot_take_another_name_from_its_environment(as_token: As) -> None:
    """`SISGATE_APP` must be the token's name, or not be set."""
    with pytest.raises(AccessDenied, match="cannot ask as portal"):
        as_token("gradebook", "app", app="portal").sync("lincoln", "students")


def test_the_log_tells_who_did_what_to_a_job(gateway: Gateway, as_token: As) -> None:
    """Who approved any number of deletions, and who ended or repeated another's job."""
    admin = as_token("ana", "admin")
    job = admin.sync("lincoln", "students", allow_deletes=True)
    admin.jobs.cancel(job.id)
    again = admin.jobs.retry(job.id)
    with gateway.context.database.read() as session:
        found = audit_log.tail(session, audit_log.AuditFilter(job=job.id))
    told = [(event.action, event.actor.split(" ")[0], event.provider) for event in reversed(found)]
    assert told == [
        ("gateway:job:accept", "app:default", "lincoln"),
        ("jobs:job:cancel", "ana", "lincoln"),
        ("jobs:job:retry", "ana", "lincoln"),
    ]
    assert {event.subject for event in found} == {f"job/{job.id}"}
    accepted, retried = found[-1].detail or {}, found[0].detail or {}
    assert (accepted["by"].split(" ")[0], accepted["allow_deletes"]) == ("ana", True)
    assert retried["new"] == again.id


def test_an_operator_runs_a_schedule_whose_jobs_stay_its_own(
    gateway: Gateway, as_token: As
) -> None:
    """The log says who ran it. Nobody but an admin enqueues in the name of a schedule."""
    operator = as_token("olga", "operator")
    job, *_ = operator.schedules.run("nightly", reason="a corrected export")
    assert job.status().app == "schedule/nightly"
    (event,) = gateway.audit.tail(audit_log.AuditFilter(job=job.id))
    assert (event.actor, event.reason) == ("app:schedule/nightly", "a corrected export")
    assert (event.detail or {})["by"].startswith("olga (token ")
    for refused in (
        lambda: operator.sync("open", "students", app="schedule/nightly"),
        lambda: as_token("gradebook", "app").schedules.run("nightly"),
        lambda: as_token("ana", "operator", scopes=("lincoln",)).schedules.run("nightly"),
    ):
        with pytest.raises(AccessDenied):
            refused()


def test_an_operator_handles_the_jobs_of_others(gateway: Gateway, as_token: As) -> None:
    """Whatever is done to a job, one by one or in bulk, it stays its app's."""
    operator = as_token("olga", "operator")
    job = gateway.sync("open", "students", app="portal")
    operator.jobs.cancel(job.id)
    again = operator.jobs.retry(job.id)
    assert gateway.jobs.status(again.id).app == "portal"
    for action in ("cancel", "retry"):
        done = operator.jobs.run_bulk(action, "provider:open resource:students")
        assert (done.done, done.conflicts) == (1, [])
    assert {each.app for each in gateway.jobs.list(provider="open")} == {"portal"}


def test_what_somebody_did_is_found_by_the_name(gateway: Gateway, as_token: As) -> None:
    """With any token, as an app, or for a schedule; what the log has as the actor finds less."""

    def told(actor: str) -> list[AuditEvent]:
        wanted = audit_log.AuditFilter(actor=actor)
        found = gateway.audit.tail(wanted, limit=500)
        streamed = [(each.writer, each.number) for each in gateway.audit.search(wanted)]
        assert streamed == [(each.writer, each.number) for each in reversed(found)]
        return list(found)

    first, second = as_token("olga", "operator"), as_token("olga", "operator")
    first.providers.control("lincoln").pause(actor="nobody")
    second.providers.control("lincoln").resume(actor="nobody")
    own, (run, *_) = second.sync("open", "students"), first.schedules.run("nightly")
    for other in ("OLGA", "olga.b", "b-olga"):
        as_token(other, "operator").sync("open", "students")
    events = told("olga")
    assert {each.actor.partition(" ")[0] for each in events} == {
        "olga", "app:olga", "app:schedule/nightly",
    }  # fmt: skip
    assert {own.id, run.id} <= {each.job_id for each in events}
    (paused,) = [each for each in events if each.action == "limits:provider:pause"]
    assert {each.action for each in events} >= {"limits:provider:pause", "limits:provider:resume"}
    exact = {each.action for each in told(paused.actor)}
    assert "limits:provider:pause" in exact
    assert "limits:provider:resume" not in exact
    assert {each.job_id for each in told("app:olga")} == {own.id}


def test_events_of_a_job_are_found_by_the_beginning_of_its_id(gateway: Gateway) -> None:
    """Also once the job is deleted. Several and none are told apart from no events."""
    for each in ("ea99-one", "ea99-two", "Portal-7"):
        gateway.sync("open", "students", job_id=each)

    def subjects(job: str) -> set[str]:
        wanted = audit_log.AuditFilter(job=job)
        found = {each.subject for each in gateway.audit.tail(wanted)}
        assert {each.subject for each in gateway.audit.search(wanted)} == found
        return found

    gateway.jobs.cancel("ea99-one")
    with gateway.context.database.write() as session:
        jobs.get(session, "ea99-one").ended_at = datetime(2020, 1, 1, tzinfo=UTC)
    with pytest.raises(UsageError, match="Several jobs begin with ea99"):
        subjects("ea99")
    assert subjects("EA99-o") == {"job/ea99-one"}
    assert subjects("Portal") == {"job/Portal-7"}
    gateway.privacy.retention.run(actor="ana")
    with pytest.raises(UnknownJob):
        gateway.jobs.find("ea99-o")
    assert subjects("ea99-o") == {"job/ea99-one"}
    for search in (gateway.audit.tail, gateway.audit.search):
        with pytest.raises(UnknownJob, match="begins with ffff"):
            search(audit_log.AuditFilter(job="ffff"))


def test_what_retention_deletes_is_deleted_by_who_the_token_says(
    gateway: Gateway, as_token: As
) -> None:
    """Whatever name the caller gives."""
    job = gateway.sync("lincoln", "students")
    gateway.jobs.cancel(job.id)
    with gateway.context.database.write() as session:
        jobs.get(session, job.id).ended_at = datetime(2020, 1, 1, tzinfo=UTC)
    as_token("ana", "admin").privacy.retention.run(actor="nobody")
    with gateway.context.database.read() as session:
        (event,) = audit_log.tail(session, audit_log.AuditFilter(action="privacy:jobs:expire"))
    assert event.actor.startswith("ana (token ")


def test_a_token_does_not_learn_of_other_providers(gateway: Gateway, as_token: As) -> None:
    """Neither their names, nor who removed one and why."""
    file = gateway.settings.config_file
    assert file is not None
    gateway.configuration.apply(file, actor="ana")
    removal = gateway.configuration.plan_removal("open")
    gateway.configuration.apply(removal, actor="ana", reason="contract ended")
    app = as_token("gradebook", "app", scopes=("lincoln", "nope"))
    for name in ("nope", "twim", "open"):
        with pytest.raises(UnknownProvider, match=r"Configured: lincoln\.$"):
            app.sync(name, "students")
    with pytest.raises(UnknownProvider, match=r"lincoln, twin\. Did you mean 'twin'\?$"):
        gateway.sync("twim", "students")
    with pytest.raises(ProviderRemoved, match=r"by ana at .* UTC: contract ended"):
        as_token("other", "app", scopes=("open",)).sync("open", "students")
