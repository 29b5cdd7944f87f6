"""An app's token sees its own webhooks, and they tell what it may see."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sisgate import Gateway
from sisgate.access.policy import LOCAL
from sisgate.domain.webhook_events import Topic
from sisgate.errors import AccessDenied, CursorAhead, CursorTooOld, UnknownWebhook, UsageError
from sisgate.gateway import TokenInfo, WebhookInfo
from sisgate.ledger import webhook_messages, webhooks
from sisgate.ledger.webhook_messages import NewMessage
from sisgate.webhooks.delivery import MOST_DROPPED
from testbed.clock import ManualClock
from tests.integration.webhooks.conftest import Deliver, EndJob, MakeHook, Receiver
from workers.runtime import Runtime

App = Callable[..., tuple[Gateway, TokenInfo]]


@pytest.fixture
def app(gateway: Gateway) -> App:
    """Return the gateway of an app with a token, and the token."""

    def make(name: str, *scopes: str, roles: tuple[str, ...] = ("app",)) -> Any:
        token = gateway.tokens.add(name, roles, scopes=scopes or ("*",))
        assert token.token is not None
        return gateway.for_token(token.token.get_secret_value()), token

    return make


def told(gateway: Gateway, hook: WebhookInfo) -> list[tuple[str, str | None]]:
    """Types and jobs of what a webhook was told."""
    found = gateway.webhooks.events(hook.id)
    return [(event.type, event.data.get("job")) for event in found.events]


def test_an_app_sees_its_own_webhooks_and_no_others(app: App, gateway: Gateway) -> None:
    """Whatever it does with another one, there is none. Operators see all."""
    gradebook, _ = app("gradebook")
    portal, _ = app("portal")
    own = gradebook.webhooks.add(None, ["job.ended"])
    assert own.app == "gradebook"
    assert [each.id for each in gradebook.webhooks.list()] == [own.id]
    assert gradebook.webhooks.list(app="portal") == []
    assert portal.webhooks.list() == portal.webhooks.list(app="gradebook") == []
    assert [each.id for each in gateway.webhooks.list()] == [own.id]
    part, other = portal.webhooks, own.id
    for attempt in (
        lambda: part.show(other), lambda: part.edit(other, ordered=True),
        lambda: part.pause(other), lambda: part.resume(other), lambda: part.remove(other),
        lambda: part.rotate_secret(other), lambda: part.test(other),
        lambda: part.deliveries(other), lambda: part.delivery(other, 1),
        lambda: part.redeliver(other), lambda: part.events(other),
    ):  # fmt: skip
        with pytest.raises(UnknownWebhook):
            attempt()
    with pytest.raises(AccessDenied):
        portal.webhooks.add(None, ["job.ended"], app="gradebook")
    with pytest.raises(AccessDenied):
        portal.webhooks.add(None, ["job.ended"], every_app=True)
    viewer, _ = app("ana", roles=("viewer",))
    with pytest.raises(AccessDenied):
        viewer.webhooks.add(None, ["job.ended"])


def test_a_webhook_tells_what_its_app_s_tokens_cover(
    app: App, end_job: EndJob, deliver: Deliver, gateway: Gateway
) -> None:
    """Own jobs, and datasets within the scopes: of others' syncs without their jobs."""
    gradebook, _ = app("gradebook", "open/students")
    hook = gradebook.webhooks.add(None, ["job.ended", "dataset.changed"])
    with pytest.raises(AccessDenied):
        gradebook.webhooks.add(None, ["job.ended"], providers=["twin"])
    own = end_job(app="gradebook", inserted=1)
    end_job("classes", app="gradebook", inserted=1)
    end_job(app="portal", inserted=1)
    end_job(app="portal", provider="twin", inserted=1)
    deliver()
    assert told(gradebook, hook) == [
        ("job.ended", own), ("dataset.changed", own), ("dataset.changed", None),
    ]  # fmt: skip


def test_a_webhook_made_by_an_admin_for_an_app_has_the_app_s_rights(
    app: App, end_job: EndJob, deliver: Deliver, gateway: Gateway
) -> None:
    """It goes on when the admin's token is gone."""
    ana, token = app("ana", roles=("admin",))
    gradebook, _ = app("gradebook", "open/students")
    hook = ana.webhooks.add(None, ["dataset.changed"], app="gradebook")
    own = ana.webhooks.add(None, ["dataset.changed"])
    assert own.app == "ana"
    gateway.tokens.revoke(token.id)
    job_id = end_job(app="gradebook", inserted=1)
    end_job("classes", app="gradebook", inserted=1)
    deliver()
    assert told(gradebook, hook) == [("dataset.changed", job_id)]
    assert told(gateway, own) == []


def test_an_operator_may_hear_of_every_app(app: App, end_job: EndJob, deliver: Deliver) -> None:
    """Within its scopes."""
    ana, _ = app("ana", "*", roles=("operator",))
    hook = ana.webhooks.add(None, ["job.ended"], every_app=True, providers=["open"])
    job_id = end_job(app="portal")
    end_job(app="portal", provider="twin")
    deliver()
    assert told(ana, hook) == [("job.ended", job_id)]


def test_an_alert_names_another_app_to_operators_only(
    app: App, deliver: Deliver, gateway: Gateway
) -> None:
    """An app learns whether it is at fault itself."""
    callers = [app("ana", roles=("operator",))[0], app("portal")[0], app("reports")[0]]
    hooks = [each.webhooks.add(None, ["alert.firing"]) for each in callers]
    for culprit in ("app reports", "provider open"):
        with gateway.context.database.write() as session:
            now, data = gateway.context.clock.now(), {"culprit": culprit}
            webhooks.tell(session, Topic.ALERT, now, provider="open", state="firing", data=data)
    deliver()
    found = [
        [event.data["culprit"] for event in caller.webhooks.events(hook.id).events]
        for caller, hook in zip(callers, hooks, strict=True)
    ]
    assert found == [
        [who, "provider open"] for who in ("app reports", "app other apps", "app reports")
    ]


def test_what_fails_at_an_app_itself_is_told_to_it_and_to_operators(
    app: App, deliver: Deliver, gateway: Gateway
) -> None:
    """Neither to another app, nor to an operator of some providers."""
    callers = [
        app("ana", roles=("operator",))[0], app("bob", "open", roles=("operator",))[0],
        app("portal")[0], app("reports")[0],
    ]  # fmt: skip
    hooks = [each.webhooks.add(None, ["alert.firing"]) for each in callers]
    with gateway.context.database.write() as session:
        for culprit in ("app reports", "redis"):
            now, data = gateway.context.clock.now(), {"culprit": culprit, "subject": "fleet wh_1"}
            webhooks.tell(session, Topic.ALERT, now, state="firing", data=data)
    deliver()
    found = [
        [event.data["culprit"] for event in caller.webhooks.events(hook.id).events]
        for caller, hook in zip(callers, hooks, strict=True)
    ]
    both = ["app reports", "redis"]
    assert found == [both, ["redis"], ["redis"], both]


def test_without_a_valid_token_nothing_more_is_told(
    app: App, end_job: EndJob, deliver: Deliver, gateway: Gateway, receiver: Receiver
) -> None:
    """Neither what happens later, nor what was waiting. A new token of the name is enough."""
    gradebook, token = app("gradebook")
    hook = gradebook.webhooks.add(receiver.url, ["job.ended"])
    receiver.answers.append((500, {}, b""))
    end_job()
    assert deliver() == 1
    gateway.tokens.revoke(token.id)
    gateway.webhooks.resume(hook.id)
    end_job()
    assert deliver() == 0
    assert len(receiver.received) == 1
    (delivery,) = gateway.webhooks.deliveries(hook.id)
    assert delivery.state == "dropped"
    app("gradebook")
    end_job()
    assert deliver() == 1


def test_what_may_not_be_told_any_more_is_dropped_bit_by_bit(
    app: App, gateway: Gateway, receiver: Receiver, runtime: Runtime
) -> None:
    """A month of events in one transaction would keep all other writers of SQLite waiting."""
    gradebook, token = app("gradebook")
    hook = gradebook.webhooks.add(receiver.url, ["job.ended"])
    now, config = runtime.clock.now(), runtime.configuration.current().webhooks
    waiting = [
        NewMessage(f"evt_{number}", "job.ended", now, {}, "open", "students")
        for number in range(MOST_DROPPED + 50)
    ]
    with runtime.database.write() as session:
        webhook_messages.append(session, webhooks.lock(session, hook.id), waiting, now)
    gateway.tokens.revoke(token.id)
    left = []
    for _ in range(2):
        assert runtime.deliveries.claim(config) is None
        left.append(gateway.webhooks.show(hook.id).waiting)
    assert left == [50, 0]
    assert receiver.received == []


def test_events_can_be_read_by_a_cursor(
    make_hook: MakeHook, end_job: EndJob, deliver: Deliver, gateway: Gateway, clock: ManualClock
) -> None:
    """In order and each once; a cursor that is too old, or not reached, is told apart."""
    hook = make_hook(url=None)
    ids = [end_job() for _ in range(5)]
    assert deliver() == 0
    part = gateway.webhooks
    first = part.events(hook.id, limit=3)
    rest = part.events(hook.id, after=first.cursor)
    assert (first.more, rest.more, rest.cursor) == (True, False, 5)
    assert [each.data["job"] for each in [*first.events, *rest.events]] == ids
    assert part.events(hook.id, after=5).events == []
    assert {each.state for each in part.deliveries(hook.id)} == {"kept"}
    clock.advance(timedelta(days=31).total_seconds())
    gateway.privacy.retention.run(actor="test")
    with pytest.raises(CursorTooOld) as old:
        part.events(hook.id, after=4)
    assert (old.value.detail["horizon"], old.value.detail["newest"]) == (5, 5)
    assert part.events(hook.id, after=5).events == []
    with pytest.raises(CursorAhead):
        part.events(hook.id, after=6)


def test_what_is_wrong_is_refused(gateway: Gateway, make_hook: MakeHook) -> None:
    """With what is wrong."""
    for order, why in (
        ({"url": "https://10.0.0.1/x"}, "not a public address"),
        ({"url": "ftp://app.example"}, "begin with"),
        ({"note": "a\nb"}, "printable"),
    ):
        with pytest.raises(UsageError, match=why):
            make_hook(**order)
    with pytest.raises(UsageError, match="needs an event"):
        gateway.webhooks.add(None, [])
    with pytest.raises(UsageError, match=r"Did you mean|job\.ended"):
        gateway.webhooks.add(None, ["job.end"])
    for _ in range(20):
        make_hook(url=None)
    with pytest.raises(UsageError, match="20 webhooks already"):
        make_hook(url=None)


def test_no_secret_is_where_it_does_not_belong(
    make_hook: MakeHook, gateway: Gateway, deliver: Deliver, end_job: EndJob
) -> None:
    """It is shown once, sealed in the ledger, moves with the master keys, and is in no event."""
    hook = make_hook(url="http://127.0.0.1:1/path-with-a-key")
    assert hook.secret is not None
    text = hook.secret.get_secret_value()
    end_job()
    deliver()
    assert text not in repr(hook)
    assert gateway.webhooks.show(hook.id).secret is None
    assert "secret" not in gateway.webhooks.list()[0].as_dict()
    events = " ".join(str(event.detail) for event in gateway.audit.tail(limit=100))
    assert text not in events
    assert "path-with-a-key" not in events
    assert gateway.access.principal() == LOCAL
