"""Versions of the configuration: applied whole, checked, audited, followed by every process."""

import json
import threading
from contextlib import closing
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest
from sqlalchemy import delete, event, func, select, update

from sisgate import Gateway, Job
from sisgate.clock import SystemClock, poll_until
from sisgate.configuration import FleetConfiguration
from sisgate.configuration.live import publish
from sisgate.errors import (
    ConfigurationConflict,
    ConfigurationError,
    CursorTooOld,
    JobCancelled,
    NotAuthenticated,
    ProviderRemoved,
    UnknownProvider,
    UnknownVersion,
    UsageError,
)
from sisgate.gateway.diagnosis import servers
from sisgate.ledger import audit_log, configuration, datasets, removal
from sisgate.ledger.configuration import VersionInfo
from sisgate.ledger.schema import ConfigurationVersion, Dataset, Record
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import CONFIGURATION
from tests.integration.configuration.conftest import MakeGateway
from workers.jobs import planning
from workers.maintenance import removed_providers
from workers.runtime import Runtime

CLOCK = SystemClock()


def follows(gateway: Gateway, version: int, seconds: float = 1.0) -> bool:
    """Whether a process has a version within so many seconds, by looking as it always does."""
    return poll_until(
        lambda: gateway.configuration.current().version == version,
        clock=CLOCK, timeout_seconds=seconds,
    )  # fmt: skip


def test_without_a_version_each_process_uses_its_own_file(gateway: Gateway) -> None:
    """As before there were versions."""
    current = gateway.configuration.current()
    assert (current.version, list(current.providers)) == (0, ["lincoln", "adams"])
    with pytest.raises(UnknownVersion, match="each process uses its own file"):
        gateway.configuration.show()


def test_every_process_follows_an_applied_version_within_a_second(
    gateway: Gateway, another: MakeGateway, file: Path
) -> None:
    """It looks at the number in Redis twice a second; what did not change keeps its object."""
    other = another()
    gateway.configuration.apply(file, actor="ana")
    assert follows(other, 1)
    before = other.configuration.current()
    plan = gateway.configuration.plan_edit("lincoln", {"limit": "500/h"})
    applied = gateway.configuration.apply(plan, actor="ana", reason="asked by the district")
    assert applied.version.number == 2
    assert follows(other, 2)
    now = other.configuration.current()
    assert str(now.providers["lincoln"].windows[0]) == "500/h"
    assert now.providers["adams"] is before.providers["adams"]
    assert now.providers["lincoln"] is not before.providers["lincoln"]
    newest, first = gateway.configuration.history()
    assert (newest.number, newest.actor, newest.reason) == (2, "ana", "asked by the district")
    assert (newest.changes, newest.based_on) == ({"change": ["providers.lincoln"]}, 1)
    assert first.changes["add"] == ["providers.lincoln", "providers.adams", "schedules.nightly"]


def test_an_emptied_redis_is_told_the_version_again(
    gateway: Gateway, another: MakeGateway, file: Path, redis: RedisClient
) -> None:
    """The ledger decides; Redis only saves asking it."""
    gateway.configuration.apply(file, actor="ana")
    redis.flushall()
    other = another()
    assert follows(other, 1)
    assert redis.get(CONFIGURATION()) == b"1"


def test_a_version_that_was_never_published_is_found_in_the_ledger(
    gateway: Gateway, another: MakeGateway, file: Path, redis: RedisClient
) -> None:
    """Whoever applied it died in between."""
    gateway.configuration.apply(file, actor="ana")
    other = another()
    assert follows(other, 1)
    gateway.configuration.apply(gateway.configuration.plan_removal("adams"), actor="ana")
    redis.set(CONFIGURATION(), 1)
    assert follows(other, 2, seconds=10)


def test_applying_the_same_again_changes_nothing(gateway: Gateway, file: Path) -> None:
    """Neither does another order of the tables."""
    gateway.configuration.apply(file, actor="ana")
    document = gateway.configuration.show().document
    turned = {name: document[name] for name in reversed(document)}
    again = gateway.configuration.apply(turned, actor="ben")
    assert (again.is_new, again.version.number, again.version.actor) == (False, 1, "ana")


def test_what_the_file_says_already_is_not_read_again(
    gateway: Gateway, another: MakeGateway, file: Path
) -> None:
    """A process that starts keeps the providers of its file, but for those that differ."""
    gateway.configuration.apply(file, actor="ana")
    document = gateway.configuration.show().document
    document["providers"]["adams"]["limit"] = "7/h"
    gateway.configuration.apply(document, actor="ana")
    started = another()
    own, current = started.settings.providers, started.configuration.current().providers
    assert current["lincoln"] is own["lincoln"]
    assert current["adams"] == gateway.configuration.current().providers["adams"]
    assert current["adams"] != own["adams"]


def test_all_mistakes_are_told_at_once_and_nothing_is_applied(gateway: Gateway, file: Path) -> None:
    """With their lines."""
    file.write_text('[providers.a]\nkind = "nope"\nurl = 1\n[apps.x]\nweight = -1\n', "utf-8")
    with pytest.raises(ConfigurationError, match="cannot be applied") as caught:
        gateway.configuration.apply(file, actor="ana")
    places = {problem.split(": ")[1] for problem in caught.value.problems}
    assert {
        "providers.a.kind",
        "providers.a.url",
        "providers.a.endpoints",
        "apps.x.weight",
    } <= places
    assert not gateway.configuration.history()


def test_two_at_once_do_not_overwrite_each_other(
    gateway: Gateway, another: MakeGateway, file: Path
) -> None:
    """Of two that saw the same version one is refused, and told the number of the other's."""
    gateway.configuration.apply(file, actor="ana")
    processes = [another() for _ in range(4)]
    plans = [
        each.configuration.plan_edit("lincoln", {"burst": number + 1})
        for number, each in enumerate(processes)
    ]
    results: list[Any] = []
    together = threading.Barrier(len(plans))

    def apply(process: Gateway, plan: Any) -> None:
        together.wait()
        try:
            results.append(process.configuration.apply(plan, actor="ben").version.number)
        except ConfigurationConflict as error:
            results.append(error)

    threads = [
        threading.Thread(target=apply, args=pair) for pair in zip(processes, plans, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results.count(2) == 1
    refused = [each for each in results if each != 2]
    assert [each.detail["based_on"] for each in refused] == [1, 1, 1]
    assert len(gateway.configuration.history()) == 2


def test_a_removed_provider_drains(gateway: Gateway, another: MakeGateway, file: Path) -> None:
    """Its waiting work ends with the reason, counted before; new work is refused with it."""
    gateway.configuration.apply(file, actor="ana")
    jobs = [gateway.sync("adams", "students"), gateway.enqueue_request("adams", "GET", "/x")]
    kept = gateway.sync("lincoln", "students")
    plan = gateway.configuration.plan_removal("adams")
    assert plan.cancels == {"adams": 2}
    assert [each.subject for each in plan.changes if each.kind == "remove"] == [
        "providers.adams", "schedules.nightly"
    ]  # fmt: skip
    applied = gateway.configuration.apply(plan, actor="ana", reason="contract ended")
    assert applied.cancelled == {"adams": 2}
    for job in jobs:
        status = job.status()
        assert status.state == "cancelled"
        assert status.error is not None
        assert status.error["code"] == "provider_removed"
        assert "version 2, by ana" in status.error["message"]
        assert status.error["message"].endswith("contract ended.")
    with pytest.raises(JobCancelled, match="contract ended"):
        jobs[0].wait(5)
    assert kept.status().state == "accepted"
    other = another()
    with pytest.raises(ProviderRemoved, match=r"in version 2, by ana .*contract ended"):
        other.sync("adams", "students")


def test_rolling_back_is_a_new_version(gateway: Gateway, file: Path) -> None:
    """History is never rewritten."""
    gateway.configuration.apply(file, actor="ana")
    gateway.configuration.apply(gateway.configuration.plan_removal("adams"), actor="ana")
    back = gateway.configuration.apply(gateway.configuration.plan_rollback(1), actor="ben")
    assert back.version.number == 3
    assert gateway.configuration.show(3).document == gateway.configuration.show(1).document
    assert not gateway.configuration.diff(1, 3)


def test_applying_is_audited(gateway: Gateway, file: Path) -> None:
    """Who, when, why, what."""
    gateway.configuration.apply(file, actor="ana", reason="first")
    with gateway.context.database.read() as session:
        (event,) = audit_log.tail(
            session, audit_log.AuditFilter(action="configuration:version:apply")
        )
    assert (event.actor, event.subject, event.reason) == ("ana", "version/1", "first")


def test_a_document_holds_neither_what_only_a_process_needs_nor_a_secret(
    gateway: Gateway, file: Path
) -> None:
    """A version is readable by whoever reads the ledger."""
    text = file.read_text("utf-8")
    file.write_text('app_name = "here"\naccess = "open"\n' + text, "utf-8")
    gateway.configuration.apply(file, actor="ana")
    assert set(gateway.configuration.show().document) == {"providers", "schedules"}
    file.write_text(
        text.replace('auth = "none"', 'auth = "none"\nproxy = "http://u:hunter2@p.test:1"', 1),
        "utf-8",
    )
    with pytest.raises(ConfigurationError, match=r"proxy: has a password") as caught:
        gateway.configuration.apply(file, actor="ana")
    assert "hunter2" not in str(caught.value)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{file.name}:")
    assert "lincoln.proxy" in problem
    assert "HTTPS_PROXY (under Compose in the file .env)" in problem


def test_a_process_serves_what_it_understands(gateway: Gateway, file: Path) -> None:
    """An older code meets a kind that it does not know."""
    gateway.configuration.apply(file, actor="ana")
    document = gateway.configuration.show().document
    document["providers"]["new"] = {"kind": "of_tomorrow", "endpoints": [{"url": "https://x.test"}]}
    document["invented"] = True
    read = type(gateway.configuration.current()).read(9, document)
    assert list(read.providers) == ["lincoln", "adams"]
    assert [problem.split(": ")[:2] for problem in read.problems] == [
        ["version 9", "providers.new.kind"], ["version 9", "invented"]
    ]  # fmt: skip
    assert read.problems_of("new") == [read.problems[0]]
    assert read.problems_of("ne") == []


def test_a_process_says_what_it_does_not_understand(gateway: Gateway, file: Path) -> None:
    """An app, which sends no heartbeats, and `doctor` on its host."""
    gateway.configuration.apply(file, actor="ana")
    document = gateway.configuration.show().document
    document["providers"]["new"] = {"kind": "of_tomorrow", "endpoints": [{"url": "https://x.test"}]}
    with gateway.context.database.write() as session:
        info = VersionInfo(2, "of newer code", 1, {}, CLOCK.now(), "newer code", None)
        configuration.add(session, info, document)
    with pytest.raises(UnknownProvider, match=r"cannot use new: .* kind is one of"):
        gateway.sync("new", "students")
    told = servers.configuration(gateway._core)
    assert told.grade == "warn"
    assert "cannot use a part of it: version 2: providers.new.kind" in told.what


def test_an_edit_names_what_is_wrong(gateway: Gateway, file: Path) -> None:
    """A single provider is changed without a file, and as carefully."""
    gateway.configuration.apply(file, actor="ana")
    with pytest.raises(ConfigurationError, match=r"providers.lincoln.limt: is not a setting"):
        gateway.configuration.plan_edit("lincoln", {"limt": "1/h"})
    with pytest.raises(UsageError, match="does not set burst"):
        gateway.configuration.plan_edit("lincoln", {}, ["burst"])
    renamed = gateway.configuration.plan_renamed_endpoint(
        "lincoln", "http://127.0.0.1:9", "http://127.0.0.1:10"
    )
    (change,) = renamed.changes
    assert [(each.name, each.before is None) for each in change.settings] == [
        ("endpoints.http://127.0.0.1:9", False), ("endpoints.http://127.0.0.1:10", True)
    ]  # fmt: skip


def test_a_job_accepted_by_a_process_that_lags_ends_too(
    gateway: Gateway, another: MakeGateway, file: Path
) -> None:
    """It had not noticed yet that the provider was removed."""
    gateway.configuration.apply(file, actor="ana")
    lagging = another()
    assert follows(lagging, 1)
    gateway.configuration.apply(
        gateway.configuration.plan_removal("adams"), actor="ana", reason="closed"
    )
    job = stray(lagging)
    runtime = Runtime(gateway.settings)
    try:
        removed_providers.end_stray_jobs(runtime)
        removed_providers.end_stray_jobs(runtime)
    finally:
        runtime.close()
    status = job.status()
    assert (status.state, status.error and status.error["code"]) == (
        "cancelled", "provider_removed",
    )  # fmt: skip
    drained = audit_log.AuditFilter(action="configuration:provider:drain")
    (event,) = gateway.audit.tail(drained)
    assert (event.subject, event.detail) == ("adams", {"cancelled": 1})


def stray(lagging: Gateway) -> Job:
    """A job that a process accepts by the version that it still has."""
    live = lagging.context.configuration
    old = live.current
    with pytest.MonkeyPatch.context() as patch:
        known = FleetConfiguration.of(lagging.settings)
        patch.setattr(live, "current", lambda: known)
        job = lagging.sync("adams", "students")
    assert live.current == old
    return job


def test_the_planner_ends_a_job_of_a_removed_provider(gateway: Gateway, file: Path) -> None:
    """And leaves one alone whose provider only newer code understands."""
    gateway.configuration.apply(file, actor="ana")
    gateway.configuration.apply(gateway.configuration.plan_removal("adams"), actor="ana")
    job = stray(gateway)
    runtime = Runtime(gateway.settings)
    try:
        planning.plan(runtime, job.id)
    finally:
        runtime.close()
    assert job.status().state == "cancelled"


def test_doctor_names_a_file_that_says_something_else(gateway: Gateway, file: Path) -> None:
    """Whoever edits it would wonder."""
    gateway.configuration.apply(file, actor="ana")
    assert servers.configuration(gateway._core).grade == "ok"
    gateway.configuration.apply(gateway.configuration.plan_removal("adams"), actor="ana")
    told = servers.configuration(gateway._core)
    assert told.grade == "warn"
    assert "version 2 of the configuration: lincoln" in told.what
    assert f"on {gethostname()} differs in providers.adams, schedules.nightly" in told.what
    assert f"On {gethostname()}, `sisgate config diff`" in (told.remedy or "")
    document = gateway.configuration.show().document
    file.write_text(json.dumps(document, default=str), "utf-8")
    assert "cannot be applied" in servers.configuration(gateway._core).what


def test_before_the_first_version_the_user_of_the_process_may_apply_it(
    another: MakeGateway, file: Path
) -> None:
    """As with the tables: there is no token yet. From then on an admin's token is needed."""
    settings = another().settings.model_copy(update={"access": "tokens"})
    with closing(Gateway(settings)) as closed:
        closed.configuration.apply(file, actor="ana")
        with pytest.raises(NotAuthenticated):
            closed.configuration.plan_change(file)
        with pytest.raises(NotAuthenticated):
            closed.configuration.apply({"providers": {}}, actor="ana")


def test_an_older_version_that_is_published_late_does_not_hide_the_newer_one(
    gateway: Gateway, redis: RedisClient, file: Path
) -> None:
    """Else a process that lags would get permits by its limits; a restored ledger has its own."""
    gateway.configuration.apply(file, actor="ana")
    publish(redis, 7)
    publish(redis, 6)
    assert redis.get(CONFIGURATION()) == b"7"
    gateway.configuration.apply(gateway.configuration.plan_removal("adams"), actor="ana")
    assert redis.get(CONFIGURATION()) == b"2"


def test_a_provider_that_was_purged_continues_its_feed(gateway: Gateway, file: Path) -> None:
    """Its data is gone; the numbers of its changes are not given twice."""
    gateway.configuration.apply(file, actor="ana")
    with gateway.context.database.write() as session:
        dataset = datasets.lock(session, "adams", "students")
        dataset.last_sequence, dataset.high_water = 41, NOW
        for number in range(removal.BATCH + 2):
            session.add(record_of("adams", str(number)))
        session.add(record_of("lincoln", "1"))
    with pytest.raises(UsageError, match="is configured: remove it first"):
        gateway.configuration.purge("adams", actor="ana")
    gateway.configuration.apply(gateway.configuration.plan_removal("adams"), actor="ana")
    rows = gateway.configuration.purge("adams", actor="ana", reason="contract ended")
    assert rows["records"] == removal.BATCH + 2
    gateway.configuration.apply(gateway.configuration.plan_rollback(1), actor="ana")
    with gateway.context.database.read() as session:
        assert datasets.newest_change(session, "adams", "students") == 42
        assert session.get_one(Dataset, ("adams", "students")).high_water is None
        assert session.get(Record, ("lincoln", "students", "1")) is not None
    with pytest.raises(CursorTooOld):
        list(gateway.changes("adams", "students", since=41))


def test_a_purge_of_a_misspelt_provider_is_refused(gateway: Gateway, file: Path) -> None:
    """It would look like a deletion of student data that never happened."""
    gateway.configuration.apply(file, actor="ana")
    with pytest.raises(UnknownProvider, match="There was never a provider 'adam'"):
        gateway.configuration.purge("adam", actor="ana")


NOW = CLOCK.now()


def record_of(provider: str, sourced_id: str) -> Record:
    """A stored record."""
    return Record(
        provider=provider, resource="students", sourced_id=sourced_id, data={}, original={},
        content_hash=b"", first_seen=NOW, last_seen=NOW, changed_at=NOW,
    )  # fmt: skip


def test_the_ledger_decides_whether_a_provider_may_be_purged(
    gateway: Gateway, file: Path, redis: RedisClient
) -> None:
    """Not what this process understands of its configuration, nor its own file."""
    with pytest.raises(UsageError, match="no version of the configuration yet"):
        gateway.configuration.purge("madison", actor="ana")
    gateway.configuration.apply(file, actor="ana")
    with gateway.context.database.write() as session:
        session.add(record_of("madison", "1"))
        session.execute(
            update(ConfigurationVersion).values(
                document=json.dumps({"providers": {"madison": {"kind": "of newer code"}}}),
                digest="another",
            )
        )
    assert "madison" not in gateway.configuration.current().providers
    with pytest.raises(UsageError, match="is configured: remove it first"):
        gateway.configuration.purge("madison", actor="ana")
    with gateway.context.database.read() as session:
        assert session.get(Record, ("madison", "students", "1")) is not None


def test_a_purge_ends_when_the_provider_is_added_again(
    gateway: Gateway, another: MakeGateway, file: Path
) -> None:
    """What a new sync has stored since is not deleted."""
    gateway.configuration.apply(file, actor="ana")
    gateway.configuration.apply(gateway.configuration.plan_removal("adams"), actor="ana")
    with gateway.context.database.write() as session:
        for number in range(removal.BATCH + 2):
            session.add(record_of("adams", str(number)))
    other = another()
    again = other.configuration.plan_rollback(1)
    deletes: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        deletes.extend([statement] if statement.startswith("DELETE FROM known_pages") else [])

    def add_again(*_: Any) -> None:
        if deletes and other.configuration.current().version == 2:
            other.configuration.apply(again, actor="ben")

    engine = gateway.context.database.engine
    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "checkin", add_again)
    with pytest.raises(UsageError, match="adams is configured, by version 3"):
        gateway.configuration.purge("adams", actor="ana")
    with gateway.context.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Record)) == removal.BATCH + 2


def test_a_number_that_is_given_out_again_is_another_version(
    gateway: Gateway, another: MakeGateway, file: Path
) -> None:
    """The ledger was restored from a backup, and changed again, while a process did not look."""
    gateway.configuration.apply(file, actor="ana")
    lowered = gateway.configuration.plan_edit("lincoln", {"limit": "900/h"})
    gateway.configuration.apply(lowered, actor="ana")
    other = another()
    assert follows(other, 2)
    with gateway.context.database.write() as session:
        session.execute(delete(ConfigurationVersion).where(ConfigurationVersion.number == 2))
    lower = gateway.configuration.plan_edit("lincoln", {"limit": "500/h"})
    assert gateway.configuration.apply(lower, actor="ana").version.number == 2
    assert str(other.context.configuration.refresh().providers["lincoln"].windows[0]) == "500/h"
    assert str(gateway.configuration.current().providers["lincoln"].windows[0]) == "500/h"


def test_only_the_first_version_needs_no_token(another: MakeGateway, file: Path) -> None:
    """Also when another one is applied while the user's is on its way."""
    user, admin = another(), another()
    settings = user.settings.model_copy(update={"access": "tokens"})
    with closing(Gateway(settings)) as anonymous:
        check = anonymous.configuration.check

        def meanwhile(source: Any) -> Any:
            admin.configuration.apply(file, actor="ana")
            return check(source)

        anonymous.configuration.check = meanwhile  # type: ignore[method-assign]
        with pytest.raises(ConfigurationConflict, match="with `sisgate config history`"):
            anonymous.configuration.apply({"providers": {}}, actor="eve")
    assert admin.configuration.show().info.number == 1
