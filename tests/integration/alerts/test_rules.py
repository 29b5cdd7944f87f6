"""Each rule that is on from the start fires by what the fleet really has, and resolves."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from sisgate.domain.certificates import Certificate
from sisgate.domain.periods import Period
from sisgate.domain.states import JobState, KeyState
from sisgate.gateway import AlertStatus
from sisgate.ledger import jobs, rollups
from sisgate.ledger import schema as tables
from sisgate.ledger.call_outcomes import EndedCall
from sisgate.monitoring.counting import tallied
from testbed.scene import INTERVAL_SECONDS, Scene, Stage
from testbed.troubles import of_providers
from testbed.troubles.syncs import answer_lists, pages, schools, sync
from testbed.troubles.trouble import Trouble, answers
from workers.maintenance import audit

CONFIG = """
[schedules.hourly]
provider = "adams"
every = "1h"
resources = ["orgs"]
[objectives]
availability = 0.99
[alerts]
flaps_held = "0s"
"""


@pytest.fixture
def scene(tmp_path: Path, redis_url: str, ledger_url: str) -> Iterator[Scene]:
    """A fleet that is well, with a schedule and an objective."""
    scene = Scene(tmp_path, redis_url, ledger_url, 1, Stage(more=CONFIG))
    with scene.running():
        scene.calm("lincoln", 4, 4)
        yield scene


def alerts(scene: Scene) -> dict[str, AlertStatus]:
    """Return what fires, by rule."""
    return {each.rule: each for each in scene.gateway.alerts.list() if each.state.is_firing}


def judge(scene: Scene, until: Callable[[], bool]) -> None:
    """Evaluate until something holds, in at most four intervals."""
    for _ in range(4):
        scene.clock.advance(INTERVAL_SECONDS)
        scene.gateway.alerts.evaluate()
        if until():
            return
    raise AssertionError(scene.gateway.alerts.list())


def fired(scene: Scene, rule: str) -> AlertStatus:
    """Evaluate until a rule fires; return its alert, which no other accompanies."""
    judge(scene, lambda: rule in alerts(scene))
    assert set(alerts(scene)) == {rule}
    return alerts(scene)[rule]


def ends(scene: Scene) -> None:
    """Evaluate until nothing fires."""
    judge(scene, lambda: not alerts(scene))


def test_certificates(tmp_path: Path, redis_url: str, ledger_url: str) -> None:
    """One of an idle provider ends soon, and is renewed."""
    scene = Scene(tmp_path, redis_url, ledger_url, 1, Stage(over_tls=True))
    with scene.running():
        place, begins = scene.districts["adams"].server.url[8:], scene.clock.now()
        soon = Certificate(place, begins - timedelta(days=88), begins + timedelta(days=2))
        scene.runtime.certificates.note(soon)
        alert = fired(scene, "certificates")
        assert (alert.severity, alert.provider) == ("warning", "adams")
        assert place in alert.message
        scene.runtime.certificates.note(replace(soon, ends_at=begins + timedelta(days=90)))
        ends(scene)


def test_keys_and_processes_and_waiting_calls(scene: Scene) -> None:
    """A key that expires, one that never came, a worker and beat that are silent, an old call."""
    _expire(scene, timedelta(hours=2))
    soon = fired(scene, "key-expiry")
    assert (soon.severity, soon.cause) == ("warning", "key_expires")
    _expire(scene, None)
    ends(scene)
    replaced = {"state": KeyState.DRAINING, "suspect_at": scene.clock.now()}
    with scene.runtime.database.write() as session:
        of_clark = update(tables.Key).where(tables.Key.provider == "clark")
        session.execute(of_clark.values(replaced))
    scene.gateway.keys.of("clark").add("clark-2", "s3cret", actor="test")
    ends(scene)
    with scene.runtime.database.write() as session:
        session.execute(delete(tables.Key))
    new = fired(scene, "set-up")
    assert (new.severity, new.message) == (
        "info", "clark is not set up yet: it has no key",
    )  # fmt: skip
    scene.gateway.keys.of("clark").add("clark-client", "s3cret", actor="test")
    ends(scene)
    scene.be_silent(scene.beat_id, 60)
    assert fired(scene, "periodic").cause == "beat_missing"
    scene.be_silent(scene.beat_id, -3600)
    ends(scene)
    scene.be_silent(scene.worker_id, 60)
    judge(scene, lambda: {"workers", "periodic"} <= set(alerts(scene)))
    scene.be_silent(scene.worker_id, -3600)
    ends(scene)
    scene.ask("lincoln", "portal", priority="urgent")
    scene.clock.advance(301)
    assert "has waited for lincoln: 3" in fired(scene, "oldest-urgent").message
    scene.work("lincoln")
    ends(scene)
    scene.ask("lincoln", "portal", priority="normal")
    scene.clock.advance(4 * 3600 - 60)
    judge(scene, lambda: not alerts(scene))
    scene.clock.advance(120)
    judge(scene, lambda: not alerts(scene))
    scene.clock.advance(30 * 60)
    assert "has waited in the queue for lincoln: 16" in fired(scene, "oldest-normal").message
    scene.work("lincoln")
    ends(scene)


def test_a_queue_that_was_held_has_time_to_drain(scene: Scene) -> None:
    """That its calls waited while the provider was paused is no news afterwards."""
    scene.ask("lincoln", "portal")
    control = scene.gateway.providers.control("lincoln")
    control.pause(actor="ana", reason="a night")
    scene.clock.advance(5 * 3600)
    judge(scene, lambda: not scene.gateway.alerts.list())
    control.resume(actor="ana")
    for _ in range(3):
        judge(scene, lambda: not alerts(scene))
        assert [each.rule for each in scene.gateway.alerts.list()] == ["oldest-normal"]
    scene.work("lincoln")
    judge(scene, lambda: not scene.gateway.alerts.list())


def test_what_was_held_is_late_only_once_it_had_time(scene: Scene) -> None:
    """An urgent call and a sync of a pause that has just ended are no news; later they are."""
    scene.ask("adams", "portal", priority="urgent")
    sync(Trouble(scene, "adams", 0), "orgs")
    scene.ask("adams", "portal", priority="urgent")
    control = scene.gateway.providers.control("adams")
    control.pause(actor="ana", reason="a night", until=scene.clock.now() + timedelta(hours=5))
    scene.clock.advance(5 * 3600 + 1)
    judge(scene, lambda: not scene.gateway.alerts.list())
    scene.clock.advance(240)
    judge(scene, lambda: set(alerts(scene)) == {"oldest-urgent"})
    scene.work("adams")
    ends(scene)
    scene.clock.advance(600)
    judge(scene, lambda: set(alerts(scene)) == {"missed-sync"})


def _expire(scene: Scene, left: timedelta | None) -> None:
    with scene.runtime.database.write() as session:
        key = session.query(tables.Key).one()
        key.expires_at = scene.clock.now() + left if left else None


def test_syncs_that_are_held_or_missed(scene: Scene) -> None:
    """One that is missed is told for all datasets of the provider; not while beat is silent."""
    of_providers.sync_held(Trouble(scene, "adams", 0))
    held = fired(scene, "held-sync")
    job = held.evidence["job"]
    assert held.subject == f"adams {job}"
    scene.clock.advance(7200)
    scene.be_silent(scene.beat_id, 60)
    judge(scene, lambda: "periodic" in alerts(scene))
    assert "missed-sync" not in alerts(scene)
    sync(Trouble(scene, "adams", 0), "orgs", allow_deletes=True)
    ends_but(scene, "periodic")
    scene.clock.advance(7200)
    scene.be_silent(scene.beat_id, -3600)
    missed = fired(scene, "missed-sync")
    assert (missed.subject, missed.evidence) == ("adams", {"datasets": ["orgs"]})
    assert "orgs of adams was due " in missed.message
    sync(Trouble(scene, "adams", 0), "orgs")
    scene.clock.advance(60)
    ends(scene)


def test_a_scheduled_dataset_that_was_never_read(scene: Scene) -> None:
    """It is told once the schedule has tried to. One that the provider refuses is not missed."""
    at = Trouble(scene, "adams", 0)
    scene.clock.advance(3600)
    end_scheduled(scene, status=404)
    scene.clock.advance(1200)
    assert _judged(scene) == {"datasets"}
    scene.clock.advance(2400)
    end_scheduled(scene, status=500)
    scene.clock.advance(600)
    assert not _judged(scene), "it is not late enough"
    scene.clock.advance(600)
    missed = fired(scene, "missed-sync")
    assert "orgs of adams was due " in missed.message
    assert missed.message.endswith(" by schedule hourly, and never read")
    scene.clock.advance(3600)
    assert _judged(scene) == {"missed-sync"}, "the next run is due, and is not asked for yet"
    sync(at, "orgs")
    scene.clock.advance(60)
    ends(scene)


def end_scheduled(scene: Scene, status: int) -> None:
    """Enqueue what the schedule says; end it as failed."""
    (job,) = scene.gateway.schedules.run_due()
    with scene.runtime.database.write() as session:
        row = jobs.lock(session, job.id)
        assert row is not None
        row.started_at = scene.clock.now()
        error = {"code": "provider_refused", "message": "No.", "status": status}
        jobs.end(session, row, JobState.FAILED, scene.clock.now(), error=error, dead=status == 500)


def _judged(scene: Scene) -> set[str]:
    scene.gateway.alerts.evaluate()
    return set(alerts(scene))


def ends_but(scene: Scene, rule: str) -> None:
    """Evaluate until nothing but one rule fires."""
    judge(scene, lambda: set(alerts(scene)) == {rule})


def test_a_dataset_that_is_refused_for_good(scene: Scene) -> None:
    """Its provider is not well, and people are told, until it is read again."""
    at, district = Trouble(scene, "adams", 0), scene.districts["adams"]
    answer_lists(at, pages(schools(4)))
    good = district.answer
    sync(at, "orgs")
    district.answer = answers(403)
    sync(at, "orgs")
    judge(scene, lambda: "datasets" in alerts(scene))
    alert = alerts(scene)["datasets"]
    assert (alert.severity, alert.subject, alert.cause) == ("warning", "adams", "dataset_fails")
    assert alert.message == "orgs of adams cannot be read: it answered 403"
    verdict = scene.gateway.why("adams")
    assert verdict.standing != "well"
    assert "dataset_fails" in {each.cause for each in verdict.findings}
    assert "dataset_fails" in {each.cause for each in scene.gateway.why().findings}
    (advice,) = {
        each.remedy
        for each in scene.gateway.why("adams/orgs").findings
        if each.cause == "requests_refused"
    }
    assert advice.startswith("Ask the operator of adams")
    assert any(each.subject == "alerts" for each in scene.gateway.fleet.dashboard().attention)
    district.answer = good
    sync(at, "orgs")
    judge(scene, lambda: "datasets" not in alerts(scene))


def test_budgets_and_errors(scene: Scene) -> None:
    """A budget that burns, in the last hour and in the last minutes; patterns of errors."""
    _burn(scene)
    assert not alerts(scene), "as little as is known says nothing about an hour"
    _count(scene, status=200, calls=1, minutes=120)
    _burn(scene)
    budget = alerts(scene)["budget"]
    assert (budget.subject, budget.cause) == ("lincoln availability", "burn_rate")
    _count(scene, status=200, calls=50_000)
    ends(scene)
    now = scene.clock.now()
    with scene.runtime.database.write() as session:
        session.add(
            tables.ErrorPattern(
                id="er_1", provider="lincoln", endpoint="e", code="provider_refused", status=404,
                message="not found", count=3, first_seen=now, last_seen=now, state="open",
            )
        )  # fmt: skip
    assert fired(scene, "errors-new").subject == "lincoln er_1"
    scene.clock.advance(1800)
    ends(scene)
    _be_frequent(scene, scene.clock.now())
    assert fired(scene, "errors-spike").message.startswith("an error of lincoln comes far more")
    scene.clock.advance(7200)
    ends(scene)


def _burn(scene: Scene) -> None:
    """Let each call fail for ten minutes."""
    for _ in range(10):
        _count(scene, status=500, calls=50)
        scene.clock.advance(60)
        scene.be_alive()
        scene.gateway.alerts.evaluate()


def _count(scene: Scene, *, status: int, calls: int, minutes: int = 1) -> None:
    detail = {"outcome": "done", "endpoint": "e", "status": status, "resource": "orgs"}
    at = Period.MINUTE.begin_of(scene.clock.now() - timedelta(minutes=minutes))
    with scene.runtime.database.write() as session:
        rollups.add(session, tallied(EndedCall(at, "lincoln", detail) for _ in range(calls)))


def _be_frequent(scene: Scene, now: datetime) -> None:
    with scene.runtime.database.write() as session:
        pattern = session.get_one(tables.ErrorPattern, "er_1")
        pattern.first_seen, pattern.last_seen = now - timedelta(days=2), now
        for number in range(1, 40):
            begin = now - number * timedelta(minutes=10)
            minute = begin.minute - begin.minute % 10
            begin = begin.replace(minute=minute, second=0, microsecond=0)
            session.add(
                tables.ErrorCount(pattern_id="er_1", begin=begin, count=400 if number == 1 else 1)
            )


def test_a_log_that_is_not_whole_is_critical_at_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """By the daily verification, whatever else is wrong; a whole one ends it.

    The level of a line tells how bad it is: an end is nothing to worry about.
    """
    caplog.set_level("INFO")
    audit.seal(scene.runtime)
    audit.verify(scene.runtime)
    scene.clock.advance(86_400)
    scene.be_alive()
    with scene.runtime.database.write() as session:
        session.add(tables.Control(provider="adams", paused=True, changed_at=scene.clock.now()))
    audit.seal(scene.runtime)
    audit.verify(scene.runtime)
    scene.clock.advance(INTERVAL_SECONDS)
    scene.gateway.alerts.evaluate()
    alert = alerts(scene)["audit"]
    assert (alert.severity, alert.message) == (
        "critical", "the audit log is not whole: 1 no event",
    )  # fmt: skip
    with scene.runtime.database.write() as session:
        session.execute(delete(tables.Control))
    assert scene.gateway.audit.verify().is_whole
    judge(scene, lambda: "audit" not in alerts(scene))
    lines = [(each.levelname, each.getMessage()) for each in caplog.records]
    levels = {
        event: level for level, text in lines for event in ("alert_firing", "alert_recovered")
        if event in text and "'audit'" in text
    }  # fmt: skip
    assert levels == {"alert_firing": "ERROR", "alert_recovered": "INFO"}


def test_one_outage_is_one_alert(scene: Scene) -> None:
    """Also while it is not clear whose; when the network is, providers are not said to be well."""
    scene.clock.advance(700)
    scene.districts["lincoln"].stop()
    scene.load("lincoln", 3)
    scene.work("lincoln")
    alert = fired(scene, "provider")
    assert alert.culprit == "unclear"
    assert alert.message.startswith("it is unclear, but perhaps lincoln cannot be reached")
    assert "or our own network does not let us out" in alert.message
    for name in ("adams", "clark"):
        scene.districts[name].stop()
        scene.load(name, 3)
        scene.work(name)
    judge(scene, lambda: "network" in alerts(scene))
    firing = alerts(scene)
    assert (firing["network"].subject, firing["network"].cause) == ("fleet", "network_down")
    assert firing["provider"].id == alert.id


def test_rules_change_while_they_are_evaluated(scene: Scene) -> None:
    """A threshold of one's own, by the configuration; an alert of a rule that is gone ends."""
    rule = {"metric": "median_seconds", "above": 0.001, "where": {"name": "lincoln"}}
    _apply(scene, {"slow": rule})
    assert "seconds that half of the calls of lincoln take" in fired(scene, "slow").message
    _apply(scene, {})
    ends(scene)


def _apply(scene: Scene, rules: dict[str, object]) -> None:
    configuration = scene.gateway.configuration
    file = scene.gateway.settings.config_file
    assert file is not None
    document = {**configuration.check(file).document, "alerts": {"rules": rules}}
    configuration.apply(document, actor="ana")
    scene.runtime.configuration.refresh()
