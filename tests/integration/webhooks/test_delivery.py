"""What happens is told to the apps that want to hear of it, signed, until they have it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from sisgate import Gateway
from sisgate.domain.states import JobState
from sisgate.errors import InvalidState
from sisgate.gateway import WebhookInfo
from sisgate.webhooks.news import hand_out
from sisgate.webhooks.outcomes import FAILURES_IN_A_ROW
from testbed.clock import ManualClock
from testbed.http_server import Asked, Reply
from tests.integration.webhooks.conftest import Deliver, EndJob, MakeHook, Receiver
from workers.runtime import Runtime

FAILED: Reply = (500, {}, b"no")


def verified(asked: Asked, secret: WebhookInfo) -> dict[str, Any]:
    """What a receiver reads once it has verified the signature, whatever the time of the test."""
    assert secret.secret is not None
    verifier = Verifier(secret.secret.get_secret_value())
    at = datetime.fromtimestamp(int(asked.headers["webhook-timestamp"]), UTC)
    expected = verifier.sign(asked.headers["webhook-id"], at, asked.body.decode())
    assert expected in asked.headers["webhook-signature"].split(" ")
    event: dict[str, Any] = json.loads(asked.body)
    return event


def results(gateway: Gateway) -> dict[str, int]:
    """How many attempts had each result, as metrics tell."""
    told = gateway.fleet.metrics().as_dict()["sisgate_webhook_delivery_seconds"]
    return {each["result"]: each["count"] for each in told if each["count"]}


def test_the_end_of_a_job_is_told_with_ids_and_counts(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver, clock: ManualClock
) -> None:
    """By one signed POST, to the path and query of the URL."""
    hook = make_hook("job.ended")
    job_id = end_job(inserted=3, calls_made=2)
    assert deliver() == 1
    (asked,) = receiver.received
    assert (asked.method, asked.target) == ("POST", "/sis?of=1")
    assert asked.headers["host"] == receiver.url.removeprefix("http://")
    assert asked.headers["content-type"] == "application/json"
    event = verified(asked, hook)
    assert event["type"] == "job.ended"
    assert datetime.fromisoformat(event["timestamp"]) == clock.now()
    assert event["data"] == {
        "job": job_id, "app": "gradebook", "kind": "sync", "provider": "open",
        "resource": "students", "state": "done", "error": None,
        "accepted_at": clock.now().isoformat(), "calls_made": 2, "complete": None,
        "inserted": 3, "updated": 0, "deleted": 0,
    }  # fmt: skip
    assert deliver() == 0


def test_a_dataset_with_changes_and_a_held_sync_are_told(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver
) -> None:
    """Of any app's sync; a sync that changed nothing says nothing of its dataset."""
    hook = make_hook("dataset.changed", "sync.held")
    end_job(app="portal", inserted=0)
    end_job(app="portal", updated=2)
    end_job(app="portal", state=JobState.HELD)
    assert deliver() == 2
    told = [verified(each, hook) for each in receiver.received]
    assert [each["type"] for each in told] == ["dataset.changed", "sync.held"]
    assert told[0]["data"]["cursor"] == 0
    assert told[0]["data"]["updated"] == 2


def test_what_fails_is_tried_again_with_the_same_id_and_body(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver,
    gateway: Gateway, clock: ManualClock,
) -> None:  # fmt: skip
    """Later and later; each attempt is in the log, and signed at its own time."""
    hook = make_hook()
    end_job()
    receiver.answers.extend([FAILED, FAILED])
    for wait in (0, 7, 40):
        clock.advance(wait)
        assert deliver() == 1
        assert deliver() == 0
    first, *others = receiver.received
    for other in others:
        assert (other.body, other.headers["webhook-id"]) == (
            first.body, first.headers["webhook-id"],
        )  # fmt: skip
        assert other.headers["webhook-timestamp"] != first.headers["webhook-timestamp"]
    delivery = gateway.webhooks.delivery(hook.id, 1)
    assert delivery.state == "delivered"
    assert [each.status for each in delivery.tries] == [500, 500, 204]
    assert delivery.tries[0].error == "The receiver responded 500."
    info = gateway.webhooks.show(hook.id)
    assert (info.standing, info.failures, info.waiting) == ("active", 0, 0)
    assert results(gateway) == {"delivered": 1, "failed": 2}


def test_a_receiver_that_asks_to_wait_is_left_alone(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver, clock: ManualClock
) -> None:
    """By Retry-After; other events wait as well."""
    make_hook()
    end_job()
    receiver.answers.append((503, {"Retry-After": "120"}, b""))
    assert deliver() == 1
    end_job()
    clock.advance(100)
    assert deliver() == 0
    clock.advance(25)
    assert deliver() == 2


def test_events_that_nobody_takes_for_a_day_are_dead_and_can_be_sent_again(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver,
    gateway: Gateway, clock: ManualClock,
) -> None:  # fmt: skip
    """With the id that they had."""
    hook = make_hook()
    end_job()
    receiver.answers.extend([FAILED] * 100)
    for _ in range(26):
        deliver()
        clock.advance(3600)
    assert [each.state for each in gateway.webhooks.deliveries(hook.id)] == ["dead"]
    info = gateway.webhooks.show(hook.id)
    assert (info.standing, info.dead) == ("failing", 1)
    receiver.answers.clear()
    assert gateway.webhooks.redeliver(hook.id) == 1
    clock.advance(3600)
    assert deliver() == 1
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    assert gateway.webhooks.show(hook.id).dead == 0


def test_who_hears_of_every_app_hears_that_a_webhook_of_another_is_paused(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver,
    gateway: Gateway, clock: ManualClock,
) -> None:  # fmt: skip
    """And no other app does."""
    hook = make_hook()
    ops = make_hook("webhook.paused", url=None, app="ops", every_app=True)
    portal = make_hook("webhook.paused", url=None, app="portal")
    receiver.answers.extend([FAILED] * 1000)
    while gateway.webhooks.show(hook.id).state != "paused":
        end_job()
        deliver()
        clock.advance(12 * 3600)
    deliver()
    assert [each.data["webhook"] for each in gateway.webhooks.events(ops.id).events] == [hook.id]
    assert gateway.webhooks.events(portal.id).events == []


def test_a_receiver_that_only_fails_is_paused_and_said_to_be(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver,
    gateway: Gateway, clock: ManualClock,
) -> None:  # fmt: skip
    """Its events are kept and sent when it is resumed; the app's other webhook is told."""
    other = make_hook("webhook.paused", url=None)
    hook = make_hook()
    receiver.answers.extend([FAILED] * 1000)
    for _ in range(13):
        end_job()
        deliver()
        clock.advance(6 * 3600)
    deliver()
    paused = gateway.webhooks.show(hook.id)
    assert paused.state == "paused"
    assert "Every attempt has failed since 2026-09-01 08:00 UTC" in (paused.reason or "")
    (event,) = gateway.webhooks.events(other.id).events
    assert event.type == "webhook.paused"
    assert event.data["webhook"] == hook.id
    (audited, *_) = gateway.audit.tail(limit=1)
    assert (audited.action, audited.actor) == ("webhooks:webhook:pause", "worker")
    before = len(receiver.received)
    end_job()
    clock.advance(7200)
    assert deliver() == 0
    receiver.answers.clear()
    gateway.webhooks.resume(hook.id)
    assert deliver() > 3
    assert len(receiver.received) > before
    assert gateway.webhooks.show(hook.id).waiting == 0


def test_a_receiver_that_is_gone_ends_its_webhook(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver, gateway: Gateway
) -> None:
    """410: nothing more is sent, nor kept."""
    hook = make_hook()
    end_job()
    end_job()
    receiver.answers.append((410, {}, b""))
    assert deliver() == 1
    ended = gateway.webhooks.show(hook.id)
    assert (ended.state, ended.waiting) == ("ended", 0)
    end_job()
    assert deliver() == 0
    assert gateway.webhooks.show(hook.id).cursor == 2
    with pytest.raises(InvalidState, match="410"):
        gateway.webhooks.test(hook.id)


def test_redirects_are_not_followed(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver, gateway: Gateway
) -> None:
    """They could lead anywhere."""
    hook = make_hook()
    end_job()
    receiver.answers.append((307, {"Location": f"{receiver.url}/other"}, b""))
    assert deliver() == 1
    (asked,) = receiver.received
    assert asked.path == "/sis"
    (delivery,) = gateway.webhooks.deliveries(hook.id)
    assert delivery.last is not None
    assert delivery.last.error == "The receiver responded 307."


def test_both_secrets_sign_while_one_replaces_the_other(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver,
    gateway: Gateway, clock: ManualClock,
) -> None:  # fmt: skip
    """Then only the new one does."""
    old = make_hook()
    new = gateway.webhooks.rotate_secret(old.id, overlap=timedelta(hours=2))
    assert new.secret != old.secret
    end_job()
    deliver()
    verified(receiver.received[0], old)
    verified(receiver.received[0], new)
    clock.advance(7201)
    end_job()
    deliver()
    verified(receiver.received[1], new)
    with pytest.raises(AssertionError):
        verified(receiver.received[1], old)


def test_a_secret_that_is_replaced_twice_goes_on_signing(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver,
    gateway: Gateway, clock: ManualClock,
) -> None:  # fmt: skip
    """Whoever lost the answer to the first replacement has not lost the receivers."""
    old = make_hook()
    lost = gateway.webhooks.rotate_secret(old.id, overlap=timedelta(hours=2))
    clock.advance(3600)
    new = gateway.webhooks.rotate_secret(old.id, overlap=timedelta(hours=2))
    end_job()
    deliver()
    for each in (old, lost, new):
        verified(receiver.received[0], each)
    assert new.former_until == clock.now() + timedelta(hours=2)
    latest = gateway.webhooks.rotate_secret(old.id, overlap=timedelta(0))
    end_job()
    deliver()
    verified(receiver.received[1], latest)
    with pytest.raises(AssertionError):
        verified(receiver.received[1], new)


def test_an_event_behind_one_that_fails_says_when_it_is_tried(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver,
    gateway: Gateway, clock: ManualClock,
) -> None:  # fmt: skip
    """Not a time that is over: while the receiver fails, one event at a time is tried."""
    hook = make_hook()
    receiver.answers += [FAILED] * FAILURES_IN_A_ROW
    for _ in range(FAILURES_IN_A_ROW):
        end_job()
        deliver()
    end_job()
    assert deliver() == 0
    behind = gateway.webhooks.deliveries(hook.id)[0]
    assert behind.attempts == 0
    assert behind.next_attempt_at is not None
    assert behind.next_attempt_at > clock.now()
    gateway.webhooks.pause(hook.id)
    assert {each.next_attempt_at for each in gateway.webhooks.deliveries(hook.id)} == {None}


def test_an_ordered_webhook_waits_for_the_event_before_of_the_same_dataset(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver, clock: ManualClock
) -> None:
    """And not for those of other datasets. Without it, others go first."""
    make_hook(ordered=True)
    first = end_job("students")
    receiver.answers.append(FAILED)
    assert deliver() == 1
    later, other = end_job("students"), end_job("classes")
    assert deliver() == 1
    clock.advance(10)
    assert deliver() == 2
    told = [json.loads(each.body)["data"]["job"] for each in receiver.received]
    assert told == [first, other, first, later]


def test_a_lost_worker_s_message_is_sent_by_another_one_after_its_lease(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, receiver: Receiver,
    runtime: Runtime, clock: ManualClock,
) -> None:  # fmt: skip
    """Not before; and the outcome of the lost one, should it come after all, changes nothing."""
    make_hook()
    end_job()
    config = runtime.configuration.current().webhooks
    hand_out(runtime.database, runtime.clock)
    claimed = runtime.deliveries.claim(config)
    assert claimed is not None
    assert deliver() == 0
    clock.advance(60)
    assert deliver() == 1
    runtime.deliveries.finish(claimed, config)
    assert len(receiver.received) == 1, "it was too late to send"
    (delivery,) = Gateway.on(runtime).webhooks.deliveries(claimed.webhook.id)
    assert delivery.state == "delivered"


def test_a_test_event_goes_the_same_way(
    make_hook: MakeHook, deliver: Deliver, receiver: Receiver, gateway: Gateway
) -> None:
    """To this webhook only, whatever it asked for."""
    hook = make_hook("sync.held")
    make_hook("job.ended")
    sent = gateway.webhooks.test(hook.id)
    assert sent.state == "waiting"
    assert deliver() == 1
    assert verified(receiver.received[0], hook)["type"] == "webhook.test"
    assert gateway.webhooks.delivery(hook.id, sent.event.number).state == "delivered"
