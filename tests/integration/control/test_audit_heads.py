"""Heads of the audit log are kept outside the database by the fleet, whatever happens."""

import socket
from pathlib import Path

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from sisgate import Gateway
from sisgate.audit.findings import IssueKind
from sisgate.errors import AuditError
from sisgate.gateway.core import Core
from sisgate.gateway.diagnosis import fleet
from sisgate.ledger import audit_guard
from workers.maintenance import audit
from workers.runtime import Runtime


def test_each_look_adds_a_signed_head_also_of_a_quiet_minute(
    gateway: Gateway, runtime: Runtime
) -> None:
    """The file grows, and verification compares with it."""
    gateway.sync("lincoln", "students")
    for _ in range(3):
        audit.seal_and_keep_head(runtime)
    verdict = gateway.audit.verify()
    assert (verdict.findings, verdict.heads, verdict.unsealed) == ([], 3, 0)
    assert verdict.events >= 1


def test_a_log_whose_end_is_cut_off_is_found_by_the_heads(
    gateway: Gateway, runtime: Runtime
) -> None:
    """Also when its sealer's notes were taken away with it."""
    gateway.sync("lincoln", "students")
    audit.seal_and_keep_head(runtime)
    gateway.sync("lincoln", "teachers")
    audit.seal_and_keep_head(runtime)
    with gateway.context.database.write() as session:
        dialect = gateway.context.database.engine.dialect.name
        audit_guard.take_off(lambda statement: session.execute(text(statement)), dialect)
        session.execute(text("DELETE FROM audit_events WHERE number > 1"))
        session.execute(text("DELETE FROM audit_seals WHERE number > 1"))
        session.execute(text("DELETE FROM audit_writers"))
        audit_guard.put_on(lambda statement: session.execute(text(statement)), dialect)
    assert IssueKind.TRUNCATED in gateway.audit.verify().counts


def test_of_workers_that_keep_the_same_head_one_does_and_no_alarm_is_raised(
    gateway: Gateway, runtime: Runtime
) -> None:
    """The second finds it kept: it is not the rest of a longer log."""
    gateway.sync("lincoln", "students")
    audit.seal_and_keep_head(runtime)
    with capture_logs() as logs:
        audit.keep_head(runtime)
    assert logs == []
    verdict = gateway.audit.verify()
    assert (verdict.findings, verdict.heads) == ([], 1)


def test_a_log_behind_its_last_head_is_told_in_the_workers_log(
    gateway: Gateway, runtime: Runtime
) -> None:
    """An operator who watches the log hears of it within a minute."""
    gateway.sync("lincoln", "students")
    for _ in range(3):
        audit.seal_and_keep_head(runtime)
    with gateway.context.database.write() as session:
        dialect = gateway.context.database.engine.dialect.name
        audit_guard.take_off(lambda statement: session.execute(text(statement)), dialect)
        session.execute(text("DELETE FROM audit_seals WHERE number > 1"))
        audit_guard.put_on(lambda statement: session.execute(text(statement)), dialect)
    with capture_logs() as logs:
        audit.seal_and_keep_head(runtime)
    assert [entry["event"] for entry in logs] == ["audit_truncated"]


def test_doctor_says_on_which_host_heads_cannot_be_kept(
    gateway: Gateway, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that could not write says so to the fleet; doctor runs elsewhere."""
    nowhere = runtime.settings.model_copy(update={"audit_heads_file": Path("/proc/heads.jsonl")})
    monkeypatch.setattr(runtime, "settings", nowhere)
    gateway.providers.control("lincoln").pause(actor="ana")
    with pytest.raises(AuditError):
        audit.seal_and_keep_head(runtime)
    (found,) = fleet.audit_heads(Core(gateway.context))
    assert (found.grade, socket.gethostname() in found.what) == ("fail", True)
    assert "a volume for SISGATE_DATA_DIR" in (found.remedy or "")

    monkeypatch.setattr(runtime, "settings", gateway.settings)
    gateway.providers.control("lincoln").resume(actor="ana")
    audit.seal_and_keep_head(runtime)
    (found,) = fleet.audit_heads(Core(gateway.context))
    assert found.grade == "ok"
