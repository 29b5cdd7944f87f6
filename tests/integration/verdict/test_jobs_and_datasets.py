"""Why a job waits or how it ended, why a dataset is as it is, and what an app may be told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sisgate.access.policy import Principal, Role, Scope
from sisgate.errors import InvalidState, UnknownJob, UnknownProvider, UnknownResource
from sisgate.gateway import Verdict
from testbed.scene import Scene, Stage
from testbed.troubles.trouble import answers
from workers.jobs import planning
from workers.maintenance import reconciler


@pytest.fixture
def scene(tmp_path: Path, redis_url: str, ledger_url: str) -> Iterator[Scene]:
    """A fleet with a quota of 30 calls an hour."""
    scene = Scene(tmp_path, redis_url, ledger_url, 1, Stage("30/h", 30))
    with scene.running():
        yield scene


def named(verdict: Verdict) -> tuple[str, str] | None:
    """Return cause and party of the culprit."""
    culprit = verdict.culprit
    return (str(culprit.cause), str(culprit.party)) if culprit is not None else None


def test_a_job_that_waits_names_who_keeps_it(scene: Scene) -> None:
    """The person of a pause, the app that spent the quota, the provider that fails."""
    gateway = scene.gateway
    (job,) = scene.ask("lincoln", "portal")
    assert gateway.why(job).standing == "well"
    gateway.providers.control("lincoln").pause(actor="ana", reason="exams")
    assert named(gateway.why(job[:8])) == ("paused", "person ana")
    gateway.providers.control("lincoln").resume(actor="ana")
    scene.ask("lincoln", "reports", 40, "urgent")
    scene.work("lincoln")
    assert named(gateway.why(job)) == ("quota_spent", "app reports")
    evidence = gateway.why(job).findings[0].evidence
    assert evidence["calls_by_app"] == {"reports": 30}
    (other,) = scene.ask("adams", "portal")
    scene.districts["adams"].answer = answers(503)
    scene.work("adams")
    assert named(gateway.why(other)) in {
        ("provider_down", "provider adams"), ("retry_waits", "provider adams"),
    }  # fmt: skip


def test_an_app_is_not_told_of_other_apps(scene: Scene) -> None:
    """It learns that others have spent the quota, and not who."""
    (job,) = scene.ask("lincoln", "portal", priority="low")
    scene.ask("lincoln", "reports", 40, "urgent")
    scene.work("lincoln")
    told = scene.as_app("portal").why(job)
    assert named(told) == ("quota_spent", "app other apps")
    assert "reports" not in str(told.as_dict())
    with pytest.raises(UnknownJob):
        scene.as_app("lms").why(job)


def test_a_job_that_ended_names_what_ended_it(scene: Scene) -> None:
    """A refusal, an expiry with its cause, a cancellation; nothing for one that is done."""
    gateway = scene.gateway
    (done,) = scene.ask("lincoln", "portal")
    scene.work("lincoln")
    assert gateway.why(done).summary.endswith("all is well.")
    scene.districts["lincoln"].answer = answers(404)
    (refused,) = scene.ask("lincoln", "portal")
    scene.work("lincoln")
    assert gateway.jobs.status(refused).state in {"failed", "done"}
    late = scene.as_app("portal").enqueue_request("lincoln", "GET", "/x", timeout=5).id
    gateway.providers.control("lincoln").pause(actor="ana")
    scene.clock.advance(6)
    reconciler.reconcile(scene.runtime)
    assert gateway.jobs.status(late).state == "expired"
    assert named(gateway.why(late)) == ("paused", "person")
    (gone,) = scene.ask("lincoln", "portal")
    gateway.jobs.cancel(gone, actor="ana")
    assert named(gateway.why(gone)) == ("job_cancelled", "person ana")


def test_a_remedy_says_whom_it_takes(scene: Scene) -> None:
    """A viewer may not run doctor, nor an operator of one provider; an operator may."""
    scene.districts["lincoln"].stop()
    scene.load("lincoln", 4)
    scene.work("lincoln")

    def remedies(role: Role, scope: str = "*") -> str:
        scopes = (Scope.parse(scope),)
        caller = scene.gateway.acting_as(Principal("ana", frozenset({role}), scopes))
        return " ".join(each.remedy for each in caller.why("lincoln").findings)

    assert "`sisgate doctor`" in remedies(Role.OPERATOR)
    assert "That takes" not in remedies(Role.OPERATOR)
    assert "That takes an operator." in remedies(Role.OPERATOR, "lincoln")
    assert "That takes an operator." in remedies(Role.VIEWER)


def test_a_page_in_place_of_data_is_told_of_its_job(scene: Scene) -> None:
    """The app gets it as it came; nothing is said of one that it has asked for."""
    page = {"Content-Type": "text/html"}
    scene.districts["lincoln"].answer = lambda _: (200, page, b"<html>Sign in</html>")
    (job,) = scene.ask("lincoln", "portal")
    wanted = scene.as_app("portal").enqueue_request(
        "lincoln", "GET", "/help", headers={"Accept": "text/html"}
    )
    scene.work("lincoln")
    told = scene.gateway.why(job)
    assert (told.standing, named(told)) == ("warning", ("answers_invalid", "nobody"))
    assert "HTML page in place of data" in told.summary
    (answer,) = [e for e in scene.gateway.jobs.timeline(job).entries if "answered 200" in e.text]
    assert "HTML page" in answer.text
    assert scene.gateway.jobs.answer(job).text == "<html>Sign in</html>"
    assert scene.gateway.why(wanted.id).standing == "well"


def test_an_answer_that_retention_has_deleted_is_told(scene: Scene) -> None:
    """With the setting: by the verdict on its job, and by the error of who asks for it."""
    (job,) = scene.ask("lincoln", "portal")
    scene.work("lincoln")
    assert "answer" not in scene.gateway.why(job).figures
    scene.clock.advance(90_000)
    scene.gateway.privacy.retention.run(actor="ana")
    told = scene.gateway.why(job)
    assert told.standing == "well"
    assert told.figures["answer"] == "deleted: `response_retention` keeps responses for 24 h"
    with pytest.raises(InvalidState, match="response_retention"):
        scene.gateway.jobs.answer(job)


def test_a_job_of_a_removed_provider_is_explained(scene: Scene) -> None:
    """Who removed it, for one that ended with it; nothing for one that is done or under way."""
    gateway = scene.gateway
    file = gateway.settings.config_file
    assert file is not None
    gateway.configuration.apply(file, actor="test")
    (done,) = scene.ask("lincoln", "portal")
    scene.work("lincoln")
    (running,) = scene.ask("lincoln", "portal")
    assert len(scene.claim("lincoln")) == 1
    (waiting,) = scene.ask("lincoln", "portal")
    gateway.configuration.apply(gateway.configuration.plan_removal("lincoln"), actor="ana")
    assert {gateway.why(done).standing, gateway.why(running).standing} == {"well"}
    verdict = scene.as_app("portal").why(waiting)
    assert named(verdict) == ("job_cancelled", "person ana")
    for subject in ("lincoln", "lincoln/orgs"):
        assert named(gateway.why(subject)) == ("provider_removed", "person ana")
    assert "lincoln was removed from the configuration in version 2, by ana" in verdict.summary


def test_a_dataset_says_why_it_is_old(scene: Scene) -> None:
    """Its last sync, or what keeps its provider."""
    gateway = scene.gateway
    scene.districts["lincoln"].answer = answers(500)
    planning.plan(scene.runtime, gateway.sync("lincoln", "orgs").id)
    for _ in range(6):
        scene.work("lincoln")
        scene.clock.advance(2)
    verdict = gateway.why("lincoln/orgs")
    assert verdict.figures["age_seconds"] is None
    assert named(verdict) in {
        ("provider_down", "provider lincoln"), ("retry_waits", "provider lincoln"),
    }  # fmt: skip


def test_what_is_not_there_is_an_error(scene: Scene) -> None:
    """A provider, a dataset, a job."""
    for subject, error in (
        ("lincon", UnknownProvider), ("lincoln/nothing", UnknownResource), ("0badc0de", UnknownJob),
    ):  # fmt: skip
        with pytest.raises(error):
            scene.gateway.why(subject)
