"""What admins prove and delete: the audit log, persons, messages that nobody could handle."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from sisgate.errors import (
    AccessDenied,
    InvalidState,
    UnknownMessage,
    UnknownPerson,
    UnknownProvider,
    UsageError,
)
from sisgate.gateway import AuditFilter
from sisgate.gateway.audit import verify_signed
from sisgate.quarantine import Quarantine
from tests.contract.gateway.world import LIMITED, NAME, STUDENTS, World

PATH = "/ims/oneroster/rostering/v1p2/students"


def test_the_audit_log_is_proved_whole(world: World, tmp_path: Path) -> None:
    """With its keys, or from an export with public keys alone."""
    world.gateway.sync(NAME, "students")
    audit = world.admin.audit
    sealed = audit.seal()
    told: list[int] = []
    found = audit.verify(progress=told.append)
    assert (found.is_whole, found.findings, found.unsealed) == (True, [], 0)
    assert found.last_seal == sealed
    assert told[-1:] in ([], [found.events])
    head = audit.head()
    assert head is not None
    assert (head.number, head.total) == (sealed, found.events)
    file = tmp_path / "audit.jsonl"
    file.write_text("".join(f"{line}\n" for line in audit.export()), "utf-8")
    keys = audit.public_keys()
    assert verify_signed(file, keys).is_whole
    assert audit.verify_export(file).is_whole
    file.write_text(file.read_text("utf-8").replace("gradebook", "notebook"), "utf-8")
    assert not verify_signed(file, keys).is_whole
    assert not audit.verify_export(file).is_whole
    for denied in ("verify", "seal", "head", "public_keys", "export"):
        with pytest.raises(AccessDenied):
            getattr(world.gateway.audit, denied)()


def test_the_audit_log_is_followed(world: World) -> None:
    """Each event once, after those that were seen."""
    audit, wanted = world.admin.audit, AuditFilter(action="limits:")
    following = audit.follow(wanted, audit.tail(wanted))
    assert list(following.new()) == []
    world.admin.providers.control(NAME).pause(actor="ana")
    assert [each.action for each in following.new()] == ["limits:provider:pause"]
    assert list(following.new()) == []


def test_the_audit_log_is_searched_for_several_subjects(world: World) -> None:
    """Of one, or of any of them."""
    world.admin.providers.control(NAME).pause(actor="ana")
    world.admin.providers.control(LIMITED).pause(actor="ana")
    audit = world.admin.audit
    subjects = [each.subject for each in audit.tail(AuditFilter(action="limits:provider:pause"))]
    assert len(subjects) == 2
    found = audit.search(AuditFilter(action="limits:provider:pause", subjects=subjects))
    assert [each.subject for each in found] == subjects[::-1]
    (one,) = audit.search(AuditFilter(action="limits:provider:pause", subjects=subjects[:1]))
    assert one.subject == subjects[0]
    with pytest.raises(UsageError, match="UTC"):
        audit.tail(AuditFilter(since=datetime.max.replace(tzinfo=timezone(-timedelta(hours=12)))))


def test_a_person_is_erased_after_a_look(world: World) -> None:
    """By a pseudonym only, and kept out until that is lifted."""
    world.answers({PATH: {"users": STUDENTS}})
    with world.working():
        world.gateway.sync(NAME, "students").wait(60)
    privacy = world.admin.privacy
    looked = privacy.erase(NAME, "s1", actor="ana", dry_run=True)
    assert (looked.dry_run, looked.suppressed, looked.done["records"]) == (True, False, 1)
    with pytest.raises(UsageError):
        privacy.erase(NAME, "s1", actor="ana")
    report = privacy.erase(NAME, "s1", actor="ana", reason="ticket 7", resource="students")
    assert (report.provider, report.suppressed, report.is_clean) == (NAME, True, True)
    assert report.pseudonym == looked.pseudonym in privacy.pseudonyms(NAME, "s1")
    assert report.done["records"] == 1
    assert {each.sourced_id for each in world.gateway.records(NAME, "students")} == {"s0", "s2"}
    assert report.as_dict()["left"] == [each.as_dict() for each in report.left]
    assert privacy.lift(NAME, "s1", actor="ana", reason="a mistake")
    with pytest.raises(UnknownPerson):
        privacy.erase(NAME, "s9", actor="ana", dry_run=True)
    with pytest.raises(UnknownProvider):
        privacy.erase("nowhere", "s1", actor="ana", dry_run=True)
    with pytest.raises(AccessDenied):
        world.gateway.privacy.erase(NAME, "s1", actor="ana", dry_run=True)


def test_messages_in_quarantine_are_read_returned_and_dropped(world: World) -> None:
    """Their content by admins only."""
    quarantine = world.admin.quarantine
    text = b'{"id": 1, "task": "planted"}'
    kept = Quarantine(world.fleet.context.redis).put(text, "it is no task", "calls.urgent")
    (listed,) = quarantine.list()
    message = listed.as_dict()
    assert (message["id"], message["reason"]) == (kept, "it is no task")
    assert "planted" not in str(quarantine.show(kept)["outline"])
    assert quarantine.content(kept, actor="ana", reason="a test") == text
    (event,) = world.admin.audit.tail(AuditFilter(action="quarantine:message:read"))
    assert event.reason == "a test"
    with pytest.raises(InvalidState):
        quarantine.requeue(kept, actor="ana")
    quarantine.drop(kept, actor="ana")
    for method in (quarantine.content, quarantine.drop):
        with pytest.raises(UnknownMessage):
            method(kept, actor="ana")
    with pytest.raises(AccessDenied):
        world.gateway.quarantine.content(kept, actor="ana")


def test_an_installation_is_checked(world: World) -> None:
    """Each check says what it found, and what to do where that is needed."""
    checks = list(world.admin.diagnosis.run())
    assert {"redis", "configuration", f"{NAME} endpoint"} <= {each.subject for each in checks}
    assert {each.grade for each in checks} <= {"ok", "warn", "fail"}
    assert all(each.what for each in checks)
    assert all(each.remedy for each in checks if each.grade == "fail")


def test_one_provider_is_asked(world: World) -> None:
    """Of its own, whatever else there is; one that is not configured is an error."""
    checks = list(world.admin.diagnosis.run(NAME))
    assert {each.subject for each in checks if "endpoint" in each.subject} == {f"{NAME} endpoint"}
    with pytest.raises(UnknownProvider):
        list(world.admin.diagnosis.run("nowhere"))
