"""What operators and admins see and change."""

import json
from datetime import timedelta
from typing import Any

import pytest

from sisgate import NewRequest, NewSync
from sisgate.errors import (
    AccessDenied,
    ConfigurationConflict,
    SisgateError,
    UnknownJob,
    UnknownKey,
    UnknownProvider,
    UnknownSchedule,
    UnknownToken,
    UnknownVersion,
    UnknownWebhook,
    UsageError,
)
from sisgate.gateway import AuditFilter
from sisgate.ledger.keys import suspect
from tests.contract.gateway.world import LIMITED, NAME, World


def test_providers_tell_their_limits_and_why_they_take_no_calls(world: World) -> None:
    """The same values, whoever shows them."""
    providers = world.gateway.providers
    assert list(providers.names()) == [NAME, LIMITED]
    (limited,) = providers.overview(LIMITED).providers
    assert limited.name == LIMITED
    assert (limited.as_dict()["limits"], limited.as_dict()["waiting"]) == (["1/h"], 0)
    assert not limited.is_held
    key = world.admin.keys.of(LIMITED).add("limited-client", "s3cret", actor="test")
    assert not providers.overview(LIMITED).providers[0].is_refused
    with world.fleet.context.database.write() as session:
        suspect(session, key.id, "401", world.fleet.context.clock.now())
    (refused,) = providers.overview(LIMITED).providers
    assert (refused.refused_slots, refused.is_refused) == (["primary"], True)
    assert {each.name for each in providers.overview().providers} == {NAME, LIMITED}
    assert providers.hold(LIMITED) is None
    queue = providers.queue(LIMITED)
    assert [each.priority.word for each in queue] == ["urgent", "high", "normal", "low"]
    assert {each.messages for each in queue} == {0}
    assert providers.usage() == []
    with pytest.raises(UnknownProvider):
        providers.hold("nowhere")


def test_providers_are_searched_page_by_page(world: World) -> None:
    """By a part of the name, or by kind."""
    search = world.gateway.providers.search
    found = search(size=1, page=2)
    assert [each.name for each in found.providers] == [LIMITED]
    assert (found.count, found.page, found.pages) == (2, 2, 2)
    assert list(found.unknown) == []
    assert [each.name for each in search("linc").providers] == [NAME]
    assert search(kind="skyward").count == 0
    shape = world.gateway.providers.window_shape(LIMITED, 12)
    assert (len(shape), sum(shape)) == (12, 0)
    assert len(world.gateway.providers.window_shape(LIMITED)) == 24
    assert list(world.gateway.providers.window_shape(NAME)) == []
    with pytest.raises(UsageError):
        search(sort="colour")
    with pytest.raises(UnknownProvider):
        world.gateway.providers.window_shape("nowhere")


def test_limits_pauses_and_breakers_are_changed_by_who_may(world: World) -> None:
    """And nobody else; each change says whether it holds now."""
    control = world.admin.providers.control(LIMITED)
    assert control.set_limits(["2/h", "1/m"], actor="ana", reason="a test")
    assert control.holds_now
    assert not control.set_limits(["2/h", "1/m"], actor="ana")
    state = world.gateway.providers.control(LIMITED).state()
    assert [str(each.rate) for each in state.windows] == ["2/h", "1/m"]
    assert state.overridden
    assert control.set_limits(None, actor="ana")
    until = world.now() + timedelta(hours=1)
    control.pause(until, actor="ana")
    hold = world.gateway.providers.hold(LIMITED)
    assert hold is not None
    assert (hold.reason, hold.next_probe_at) == ("paused", until)
    assert control.resume(actor="ana")
    assert not control.resume(actor="ana")
    breakers = world.admin.providers.breakers(LIMITED)
    assert len(breakers.set("open", actor="ana")) == 1
    held = world.gateway.providers.hold(LIMITED)
    assert held is not None
    assert (held.reason, held.by_hand) == ("breaker", True)
    (endpoint,) = world.gateway.providers.breakers(LIMITED).standings()
    assert (endpoint.breaker.state, endpoint.breaker.pinned) == ("open", True)
    assert endpoint.breaker.wait_seconds == float("inf")
    assert len(breakers.set("auto", "1", actor="ana")) == 1
    assert breakers.holds_now
    with pytest.raises(UsageError):
        breakers.set("ajar", actor="ana")
    with pytest.raises(UsageError):
        control.set_limits("many", actor="ana")
    with pytest.raises(AccessDenied):
        world.gateway.providers.control(LIMITED).pause(actor="ana")


def test_the_configuration_has_versions(world: World) -> None:
    """Planned, applied, compared with the one it is based on, and rolled back."""
    configuration = world.admin.configuration
    assert configuration.version() == 0
    with pytest.raises(UnknownVersion):
        configuration.show()
    provider = {
        "kind": "oneroster", "auth": "none", "endpoints": [{"url": "https://sis.test"}]
    }  # fmt: skip
    first = configuration.apply({"providers": {NAME: provider}}, actor="ana", reason="first")
    assert (first.version.number, first.version.reason, first.is_new) == (1, "first", True)
    changed = {"providers": {NAME: provider | {"limit": "5/h"}}}
    plan = configuration.plan_change(changed)
    (change,) = plan.changes
    assert (plan.base, change.kind, change.subject) == (1, "change", f"providers.{NAME}")
    assert [(each.name, each.after) for each in change.settings] == [("limit", "5/h")]
    assert configuration.apply(plan, actor="ana").version.number == 2
    assert configuration.version() == 2
    with pytest.raises(ConfigurationConflict):
        configuration.apply(changed, actor="ana", based_on=1)
    assert not configuration.apply(changed, actor="ana").is_new
    (difference,) = configuration.diff(1, 2)
    assert difference == change == configuration.diff(1)[0]
    back = configuration.plan_rollback(1)
    again = configuration.apply(back, actor="ana")
    assert again.version.number == 3
    assert [each.number for each in configuration.history()] == [3, 2, 1]
    stored = configuration.show(2)
    assert stored.info.number == 2
    assert stored.document["providers"][NAME]["limit"] == "5/h"
    with pytest.raises(SisgateError):
        configuration.plan_change({"providers": {NAME: {"kind": "abacus"}}})
    with pytest.raises(AccessDenied):
        world.gateway.configuration.apply(changed, actor="ana")


def test_providers_are_added_edited_and_removed_alone(world: World) -> None:
    """Without the rest of the document, which stays as it was."""
    configuration: Any = world.admin.configuration  # each applies its own plans
    one = {"kind": "oneroster", "auth": "none", "endpoints": [{"url": "https://sis.test"}]}
    configuration.apply({"providers": {NAME: one}}, actor="ana")

    def apply(plan: Any, subject: str) -> None:
        assert [each.subject for each in plan.changes] == [subject]
        version = configuration.apply(plan, actor="ana", reason="a test").version
        assert version.number == plan.base + 1
        assert configuration.show().document == plan.document

    added = configuration.plan_provider("adams", {**one, "rotation.overlap": "1h"})
    apply(added, "providers.adams")
    apply(configuration.plan_edit("adams", {"limit": "5/h"}), "providers.adams")
    apply(configuration.plan_edit("adams", {}, ["limit"]), "providers.adams")
    moved = configuration.plan_renamed_endpoint("adams", "https://sis.test", "https://new.test")
    apply(moved, "providers.adams")
    assert configuration.show().document["providers"]["adams"]["endpoints"][0]["url"] == (
        "https://new.test"
    )
    with pytest.raises(ConfigurationConflict):
        configuration.apply(added, actor="ana")
    assert set(configuration.left_by("adams").values()) <= {0}
    removal = configuration.plan_removal("adams")
    assert dict(removal.cancels) == {}
    apply(removal, "providers.adams")
    assert set(configuration.left_by("adams").values()) <= {0}
    with pytest.raises(SisgateError):
        configuration.plan_edit("adams", {"limit": "5/h"})
    with pytest.raises(UnknownProvider):
        configuration.left_by("nowhere")
    with pytest.raises(AccessDenied):
        world.gateway.configuration.left_by("adams")


def test_keys_are_added_staged_and_revoked_and_never_shown(world: World) -> None:
    """Nor is a key that does not exist."""
    keys = world.admin.keys.of(NAME)
    added = keys.add("client-1", "planted-secret", actor="ana", reason="first")
    assert (added.provider, added.slot, added.state) == (NAME, "primary", "active")
    staged = keys.stage("client-2", "planted-secret", actor="ana")
    assert staged.state == "staged"
    listed = world.admin.keys.list(NAME)
    assert {each.id for each in listed} == {added.id, staged.id}
    assert "planted-secret" not in repr(listed)
    revoked = keys.revoke(staged.id, actor="ana", reason="leaked")
    assert revoked.state == "revoked"
    assert [each.id for each in world.admin.keys.list()] == [added.id]
    assert {each.key.id for each in keys.usage()} == {added.id, staged.id}
    with pytest.raises(UnknownKey):
        keys.promote("no-such-key", actor="ana")
    with pytest.raises(AccessDenied):
        world.gateway.keys.list()


def test_master_keys_are_shown_and_take_over_what_others_sealed(world: World) -> None:
    """Batch by batch; none is named but by its id."""
    world.admin.keys.of(NAME).add("client-1", "planted-secret", actor="ana")
    master = world.admin.keys.master
    (newest,) = master.list()
    assert newest.is_newest
    assert newest.origin is not None
    assert sum(newest.sealed.values()) >= 1
    steps = list(master.rewrap(actor="ana", reason="a test"))
    assert [each for each in steps if each.moved or each.unopened] == []
    assert master.list() == [newest]
    with pytest.raises(AccessDenied):
        world.gateway.keys.master.list()
    with pytest.raises(AccessDenied):
        list(world.gateway.keys.master.rewrap(actor="ana"))


def test_a_transform_is_tried_without_a_call(world: World) -> None:
    """On a request, and on a response to it."""
    request = NewRequest(NAME, "POST", "/grades", json={"name": "Ada"}, transform="short")
    test = world.gateway.transforms.test
    asked = test(request)
    assert (asked.provider, asked.rule, asked.response) == (NAME, "short", None)
    assert asked.request["path"] == "/grades"
    headers = {"content-type": "application/json", "x-left": "1"}
    given = b'{"name": "Ada", "note": "long"}'
    tried = test(request, response=given, status=201, headers=headers)
    assert tried.response is not None
    assert json.loads(tried.response.body) == {"name": "Ada"}
    assert tried.response.headers["x-left"] == "1"
    sent = NewRequest(NAME, "POST", "/grades", body=b"raw", transform="short")
    assert test(sent).rule == "short"
    assert world.asked() == []
    with pytest.raises(UsageError):
        test(NewRequest(NAME, "GET", "/grades", transform="no-such-rule"))
    with pytest.raises(UsageError):
        test(NewRequest(NAME, "GET", "/grades"))
    with pytest.raises(UnknownProvider):
        test(NewRequest("nowhere", "GET", "/grades"))


def test_tokens_are_made_replaced_and_revoked(world: World) -> None:
    """The secret is shown once, and not in a repr."""
    made = world.admin.tokens.add("portal", ["app"], scopes=[NAME], actor="ana")
    assert made.token is not None
    secret = made.token.get_secret_value()
    assert secret not in repr(made)
    assert (made.name, made.roles, made.scopes) == ("portal", ("app",), (NAME,))
    new = world.admin.tokens.rotate(made.id, overlap=timedelta(hours=2), life=None, actor="ana")
    assert (new.name, new.expires_at) == ("portal", None)
    assert world.admin.tokens.revoke(new.id, actor="ana").state == "revoked"
    names = [each.id for each in world.admin.tokens.list()]
    assert made.id in names
    assert new.id not in names
    assert new.id in [each.id for each in world.admin.tokens.list(every=True)]
    with pytest.raises(UnknownToken):
        world.admin.tokens.revoke("0" * 12, actor="ana")
    with pytest.raises(AccessDenied):
        world.gateway.tokens.list()


def test_the_audit_log_is_read_by_admins(world: World) -> None:
    """The newest first, or all that match as a stream; the token's owner is the actor."""
    job = world.gateway.sync(NAME, "students", request_id="r-7")
    (event,) = world.admin.audit.tail(AuditFilter(job=job.id))
    assert event.actor == "app:gradebook"
    assert (event.job_id, event.request_id) == (job.id, "r-7")
    streamed = list(world.admin.audit.search(AuditFilter(job=job.id[:13], actor="gradebook")))
    assert [(each.writer, each.number) for each in streamed] == [(event.writer, event.number)]
    assert streamed[0].at == event.at
    assert streamed[0].detail == event.detail
    with pytest.raises(UnknownJob):
        list(world.admin.audit.search(AuditFilter(job="no-such")))
    assert world.admin.audit.disclosures(NAME, "s0", actor="ana") == []
    assert world.admin.privacy.pseudonyms(NAME, "s0")
    assert not world.admin.privacy.lift(NAME, "s0", actor="ana", reason="a test")
    with pytest.raises(AccessDenied):
        world.gateway.audit.tail()


def test_the_rest_of_the_house_is_shown(world: World) -> None:
    """Schedules, quarantine, retention, processes."""
    assert world.gateway.schedules.list() == []
    assert list(world.admin.quarantine.list()) == []
    assert world.admin.privacy.retention.preview()
    assert world.admin.privacy.retention.run(actor="ana")
    liveness = world.gateway.fleet.liveness()
    assert liveness.fleet is not None
    assert {each.kind for each in liveness.fleet.processes} == {"worker", "beat"}
    assert "sisgate" in world.admin.fleet.openmetrics()
    assert world.admin.fleet.metrics().as_dict()


def test_schedules_are_of_a_provider_or_of_those_that_are_selected(world: World) -> None:
    """Also of none."""
    nightly = {"resources": ["students"], "cron": "0 2 * * *"}
    document = {
        "providers": {NAME: {"kind": "powerschool", "endpoints": [{"url": "https://sis.test"}]}},
        "schedules": {
            "all": {**nightly, "where": {"name": "*"}}, "one": {**nightly, "provider": NAME},
            "none": {**nightly, "where": {"kind": "skyward"}},
        },
    }  # fmt: skip
    world.admin.configuration.apply(document, actor="ana")
    every, none, one = world.admin.schedules.list()
    assert [each.name for each in (every, none, one)] == ["all", "none", "one"]
    assert [every.next_at is None, none.next_at is None] == [False, True]
    assert (one.when, one.in_words) == ("0 2 * * * UTC", "at 02:00 every day in UTC")
    assert world.admin.schedules.get("one") == one
    assert (one.of, one.starts, one.is_whole) == (NAME, {NAME: one.next_at}, False)
    with pytest.raises(UnknownSchedule):
        world.admin.schedules.get("weekly")


def test_the_reason_of_an_action_is_in_the_audit_log(world: World) -> None:
    """Of what enqueues, one job or many, and of what ends something."""
    admin, until = world.admin, world.now() + timedelta(hours=1)
    nightly = {"provider": NAME, "resources": ["orgs"], "cron": "0 2 * * *"}
    provider = {"kind": "powerschool", "endpoints": [{"url": "https://sis.test"}]}
    document = {"providers": {NAME: provider}, "schedules": {"nightly": nightly}}
    admin.configuration.apply(document, actor="ana")
    admin.sync(NAME, "students", allow_deletes=True, reason="they have left")
    admin.enqueue([NewSync(NAME, "classes", reason="among others")])
    admin.sync_many({"name": NAME}, ["teachers"], reason="of all")
    admin.schedules.run("nightly", reason="the export is right now")
    silence = admin.alerts.silence(until, provider=NAME, actor="ana").id
    admin.alerts.unsilence(silence, actor="ana", reason="it is over")
    hook = admin.webhooks.add(None, ["job.ended"]).id
    admin.webhooks.remove(hook, reason="nobody reads it")
    kept = [(each.action, each.reason) for each in admin.audit.tail(limit=50) if each.reason]
    assert sorted(kept) == [
        ("alerts:alert:unsilence", "it is over"),
        ("gateway:job:accept", "among others"),
        ("gateway:job:accept", "of all"),
        ("gateway:job:accept", "the export is right now"),
        ("gateway:job:accept", "they have left"),
        ("webhooks:webhook:remove", "nobody reads it"),
    ]


def test_the_fleet_is_seen_at_a_glance(world: World) -> None:
    """Its backlog, and what needs attention."""
    world.admin.providers.control(NAME).pause(actor="ana")
    world.gateway.sync(NAME, "students")
    board = world.gateway.fleet.dashboard()
    assert (board.live_jobs, board.provider_count) == ({"accepted": 1}, 2)
    assert board.at - board.calls_since <= timedelta(hours=2)
    assert board.backlog is not None
    assert {each.word: number for each, number in board.backlog.items()}["urgent"] == 0
    shown = {each["name"]: each for each in board.as_dict()["providers"]}
    assert (shown[NAME]["hold"], shown[NAME]["kind"]) == ("paused", "oneroster")
    assert shown[LIMITED]["windows"][0]["limit"] == "1/h"
    assert [each.message for each in board.attention if each.provider == NAME]


def test_an_apps_webhooks_are_made_changed_and_read(world: World) -> None:
    """Its own, without a URL: it reads the events by a cursor."""
    hooks = world.gateway.webhooks
    made = hooks.add(None, ["job.ended"], providers=[NAME], note="mine")
    assert (made.app, made.url, made.state) == ("gradebook", None, "active")
    assert made.providers == (NAME,)
    assert made.secret is not None
    assert made.secret.get_secret_value() not in repr(made)
    assert hooks.edit(made.id, note="ours", ordered=True).ordered
    assert hooks.show(made.id).note == "ours"
    world.gateway.sync(NAME, "students").cancel()
    found = hooks.events(made.id)
    assert (found.cursor, found.more) == (0 if not found.events else found.events[-1].number, False)
    assert hooks.pause(made.id, reason="a test").state == "paused"
    assert hooks.resume(made.id).state == "active"
    rotated = hooks.rotate_secret(made.id, overlap=timedelta(hours=1))
    assert rotated.secret is not None
    assert rotated.former_until is not None
    delivery = hooks.test(made.id)
    assert delivery.event.type == "webhook.test"
    assert hooks.delivery(made.id, delivery.event.number).event == delivery.event
    assert delivery.event.number in [each.event.number for each in hooks.deliveries(made.id)]
    assert [each.id for each in hooks.list()] == [made.id]
    hooks.remove(made.id)
    with pytest.raises(UnknownWebhook):
        hooks.show(made.id)
