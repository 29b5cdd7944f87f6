"""An outage in a fleet under load: it fires, is told, is acknowledged, and recovers."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from sisgate import Gateway
from sisgate.clock import SystemClock, poll_until
from sisgate.errors import InvalidState, UnknownAlert, UsageError
from sisgate.gateway import AlertStatus
from sisgate.ledger.schema import Alert, AlertMessage, AuditEvent
from sisgate.webhooks.news import hand_out
from testbed.chat import Chat
from testbed.http_server import Asked, HttpServer, Reply, json_reply
from testbed.scene import INTERVAL_SECONDS, Scene, Stage
from testbed.troubles.trouble import answers
from workers.maintenance import alerts

CONFIG = """
[alerts.channels.ops]
url_env = "TEST_ALERT_URL"
[alerts.channels.pager]
url_env = "TEST_PAGER_URL"
least = "critical"
"""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    """The receiver of the channel `ops`; nobody has the URL of the other one."""
    found = Chat()
    with found.server:
        monkeypatch.setenv("TEST_ALERT_URL", found.url)
        yield found


@pytest.fixture
def scene(tmp_path: Path, redis_url: str, ledger_url: str, receiver: Chat) -> Iterator[Scene]:
    """A fleet that is well."""
    scene = Scene(tmp_path, redis_url, ledger_url, 1, Stage(more=CONFIG))
    with scene.running():
        scene.calm("lincoln", 4, 4)
        yield scene


def pass_interval(scene: Scene, calls: int = 4) -> list[AlertStatus]:
    """Let an interval pass under load, judge the rules and send what is due; return what fires."""
    scene.load("lincoln", calls)
    scene.work("lincoln")
    scene.clock.advance(INTERVAL_SECONDS)
    scene.work("lincoln")
    judge(scene)
    return [each for each in scene.gateway.alerts.list() if each.state.is_firing]


def judge(scene: Scene) -> None:
    """Do what the duty does, and wait for what it sends."""
    alerts.watch(scene.runtime)
    scene.runtime.alert_judge.join(30)
    scene.runtime.alert_deliveries.start()
    scene.runtime.alert_deliveries.join(30)


def until(scene: Scene, holds: Callable[[list[AlertStatus]], bool], calls: int = 4) -> int:
    """Let intervals pass until something holds of what fires; return how many it took."""
    for number in range(1, 10):
        if holds(pass_interval(scene, calls)):
            return number
    raise AssertionError(scene.gateway.alerts.list())


def test_an_outage_fires_within_two_intervals_and_resolves_within_two(
    scene: Scene, receiver: Chat
) -> None:
    """With the verdict's reason, once each; what the pager is told waits for its URL.

    Webhooks tell apps the same.
    """
    hook = scene.gateway.webhooks.add(None, ["alert.firing", "alert.resolved"])
    assert pass_interval(scene) == []
    district = scene.districts["lincoln"]
    good, district.answer = district.answer, answers(500)
    assert until(scene, bool) <= 2
    (alert,) = [each for each in scene.gateway.alerts.list() if each.rule == "provider"]
    assert (alert.subject, alert.cause, alert.culprit) == (
        "lincoln", "provider_down", "provider lincoln",
    )  # fmt: skip
    pass_interval(scene)
    assert len(receiver.messages) == 1
    (message,) = receiver.messages
    assert "lincoln fails: it answered 500" in message["message"]
    assert "At fault: provider lincoln." in message["message"]
    assert scene.gateway.why("lincoln").findings[0].message.split(":")[0] in message["message"]
    district.answer = good
    # The breaker lets a probe through when it is due, and not before.
    scene.clock.advance(60)
    for _ in range(4):
        scene.work("lincoln")
        scene.clock.advance(2)
    scene.load("lincoln", 4)
    scene.work("lincoln")
    assert until(scene, lambda firing: not firing) <= 2
    assert receiver.titles[-1] == "[recovered] lincoln: provider recovered"
    assert [each["type"] for each in receiver.messages] == ["failure", "success"]
    assert len(receiver.messages) == 2
    hand_out(scene.runtime.database, scene.clock)
    events = scene.gateway.webhooks.events(hook.id).events
    assert [(event.type, event.data["alert"]) for event in events] == [
        ("alert.firing", alert.id), ("alert.resolved", alert.id),
    ]  # fmt: skip
    with scene.runtime.database.read() as session:
        pager = session.query(AlertMessage).filter_by(channel="pager", state="waiting")
        waiting = pager.order_by(AlertMessage.id).all()
        acts = [e.action for e in session.query(AuditEvent).filter(AuditEvent.actor == "alerts")]
    assert len(waiting) == 2
    assert "TEST_PAGER_URL" in str(waiting[0].error)
    assert acts == ["alerts:alert:fire", "alerts:alert:resolve"]


def test_an_outage_that_is_over_is_not_told_as_one(scene: Scene) -> None:
    """After many good calls and few since: its breaker has closed again."""
    for _ in range(4):
        pass_interval(scene)
    district = scene.districts["lincoln"]
    good, district.answer = district.answer, answers(500)
    jobs = scene.load("lincoln", 5)
    scene.work("lincoln")
    for job in jobs[2:]:
        scene.gateway.jobs.cancel(job, actor="ana")
    firing = [each for _ in range(2) for each in pass_interval(scene, 0)]
    assert {each.rule for each in firing} == {"provider"}
    district.answer = good
    scene.clock.advance(60)
    for _ in range(4):
        scene.work("lincoln")
        scene.clock.advance(2)
    assert until(scene, lambda firing: not firing, calls=0) <= 2
    assert scene.gateway.why("lincoln").standing == "well"


def test_a_channel_that_cannot_deliver_is_told_everywhere(scene: Scene, receiver: Chat) -> None:
    """By the alert, the dashboard, doctor, metrics, and whoever is about to remove it."""
    scene.districts["lincoln"].answer = answers(500)
    until(scene, bool)
    gateway = scene.gateway
    (alert,) = [each for each in gateway.alerts.list() if each.rule == "provider"]
    assert (set(alert.channels), alert.undelivered) == ({"ops", "pager"}, ("pager",))
    board = gateway.fleet.dashboard()
    (told,) = [e for e in board.attention if e.message.startswith("alert channel pager")]
    assert (told.subject, told.level) == ("alerts", "warning")
    assert "TEST_PAGER_URL" in told.message
    assert told.message in [f"{e.subject} {e.what}" for e in gateway.diagnosis.run()]
    metrics = gateway.fleet.metrics().as_dict()
    assert {e["channel"]: e["value"] for e in metrics["sisgate_alert_messages"]} == {
        "ops": 0, "pager": 1,
    }  # fmt: skip
    firing = {"rule": "provider", "state": "firing", "severity": "critical", "value": 1}
    assert firing in metrics["sisgate_alerts"]
    document = dict(gateway.configuration.plan_edit("lincoln", {"limit": "7/h"}).document)
    del document["alerts"]
    assert gateway.configuration.plan_change(document).drops == {"pager": 1}


def test_no_message_is_lost_while_a_channel_is_down(scene: Scene, receiver: Chat) -> None:
    """It is tried again until it arrives, by whichever worker."""
    receiver.is_down = True
    scene.districts["lincoln"].answer = answers(500)
    until(scene, bool)
    assert receiver.messages == []
    (channel,) = [c for c in scene.gateway.alerts.channels() if c.name == "ops"]
    assert (channel.waiting, channel.is_here) == (1, True)
    assert "cannot be reached" in str(channel.last_error)
    assert "s3cret" not in str(channel)
    for _ in range(3):
        scene.clock.advance(600)
        judge(scene)
    receiver.is_down = False
    scene.clock.advance(1200)
    judge(scene)
    assert any("lincoln" in title for title in receiver.titles)


def test_a_slot_is_written_once_however_many_judge_it(scene: Scene, receiver: Chat) -> None:
    """Two workers that both believe in their turn tell everybody once."""
    scene.be_silent(scene.beat_id, 60)
    scene.clock.advance(INTERVAL_SECONDS)
    first = scene.gateway.alerts.evaluate()
    again = scene.gateway.alerts.evaluate()
    assert [each.rule for each in first.changed] == ["periodic"]
    assert again.is_empty
    for _ in range(3):
        scene.clock.advance(INTERVAL_SECONDS)
        judge(scene)
        assert scene.gateway.alerts.evaluate().is_empty
    assert receiver.titles == ["[warning] fleet: periodic"]


def test_many_that_evaluate_at_once_write_once(scene: Scene) -> None:
    """The beginning and the end, one message each; nobody fails."""
    gateways = [Gateway(scene.runtime.settings, clock=scene.clock) for _ in range(4)]
    told = []
    for seconds in (60, -3600):
        scene.be_silent(scene.beat_id, seconds)
        for _ in range(4):
            scene.clock.advance(INTERVAL_SECONDS)
            with ThreadPoolExecutor(len(gateways)) as pool:
                futures = [pool.submit(each.alerts.evaluate) for each in gateways]
                told += [what for future in futures for _, what in future.result().told]
    for gateway in gateways:
        gateway.close()
    assert told == ["firing", "resolved"]
    with scene.runtime.database.read() as session:
        messages = session.query(AlertMessage).filter_by(channel="ops").count()
        assert (session.query(Alert).count(), messages) == (1, 2)


def test_a_channel_that_hangs_holds_up_no_other(
    scene: Scene, receiver: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a thread of its own."""
    released = Event()

    def hang(_: Asked) -> Reply:
        released.wait(30)
        return json_reply({})

    with HttpServer(hang) as hanging:
        monkeypatch.setenv("TEST_PAGER_URL", f"json://127.0.0.1:{hanging.port}/?rto=30")
        for channel in ("pager", "ops"):
            scene.gateway.alerts.test(channel, actor="ana")
        alerts.watch(scene.runtime)
        poll_until(lambda: bool(receiver.titles), clock=SystemClock(), timeout_seconds=30)
        (pager,) = [c for c in scene.gateway.alerts.channels() if c.name == "pager"]
        assert pager.waiting == 1
        released.set()
        scene.runtime.alert_deliveries.join(30)


def test_sending_ends_in_time() -> None:
    """Whatever timeouts the URL of the channel asks for."""
    released = Event()

    def hang(_: Asked) -> Reply:
        released.wait(30)
        return json_reply({})

    with HttpServer(hang) as server:
        order = {
            "url": f"json://127.0.0.1:{server.port}/?rto=60", "title": "t", "body": "b",
            "kind": "info",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "sisgate.alerts.sender", "2"], text=True, timeout=20,
            input=json.dumps(order) + "\n", check=False,
        )  # fmt: skip
        released.set()
    assert done.returncode == -signal.SIGALRM


def test_people_acknowledge_and_silence(scene: Scene, receiver: Chat) -> None:
    """Who and when is in the ledger and the audit log; a silence ends by itself or by hand."""
    gateway = scene.gateway
    gateway.alerts.silence(
        scene.clock.now() + timedelta(hours=1), provider="lincoln", actor="ana", reason="moving"
    )
    scene.districts["lincoln"].answer = answers(500)
    until(scene, bool)
    assert receiver.messages == []
    (silence,) = gateway.alerts.silences()
    assert (silence.provider, silence.set_by, silence.reason) == ("lincoln", "ana", "moving")
    gateway.alerts.unsilence(silence.id, actor="ben")
    pass_interval(scene)
    assert len(receiver.messages) == 1
    (alert,) = [each for each in gateway.alerts.list(provider="lincoln") if each.state.is_firing]
    done = gateway.alerts.ack(alert.id[:6], actor="ben", note="asked them")
    assert (done.state, done.acknowledged_by, done.note) == ("acknowledged", "ben", "asked them")
    pass_interval(scene)
    assert gateway.alerts.get(alert.id).state == "acknowledged"
    assert len(receiver.messages) == 1


def test_mistakes_are_told(scene: Scene) -> None:
    """An unknown id, a rule that is none, a time that has passed, an alert that is over."""
    alerts, now = scene.gateway.alerts, scene.clock.now()
    with pytest.raises(UnknownAlert):
        alerts.ack("al_0", actor="ana")
    with pytest.raises(UsageError, match=r"Rules: audit, .*quota"):
        alerts.silence(now + timedelta(hours=1), rule="qouta", actor="ana")
    with pytest.raises(UsageError, match="time to come"):
        alerts.silence(now, rule="quota", actor="ana")
    with pytest.raises(UsageError, match="Channels: ops, pager"):
        alerts.test("opps", actor="ana")
    scene.be_silent(scene.beat_id, 60)
    scene.clock.advance(INTERVAL_SECONDS)
    alerts.evaluate()
    (pending,) = alerts.list()
    with pytest.raises(InvalidState, match="does not fire"):
        alerts.ack(pending.id, actor="ana")


def test_a_test_message_arrives(scene: Scene, receiver: Chat) -> None:
    """A worker sends it."""
    number = scene.gateway.alerts.test("ops", actor="ana")
    assert scene.gateway.alerts.was_sent(number) == (False, None)
    judge(scene)
    assert scene.gateway.alerts.was_sent(number) == (True, None)
    assert receiver.titles == ["[test] sisgate"]
