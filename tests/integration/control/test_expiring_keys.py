"""A key that expires soon is told of in time: in the log, in the audit log, once a day."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from sisgate import Gateway
from sisgate.context import Context
from sisgate.domain.secret import Secret
from sisgate.gateway.core import Core
from sisgate.gateway.diagnosis.provider import expiring_keys
from sisgate.ledger import audit_log
from testbed.clock import ManualClock
from workers.maintenance import rotation
from workers.runtime import Runtime

DAY = 24 * 3600.0


@pytest.fixture
def runtime(gateway: Gateway, redis_url: str, clock: ManualClock) -> Iterator[Runtime]:
    """What beat's task works with."""
    runtime = Runtime(gateway.settings, clock)
    yield runtime
    runtime.database.dispose()
    runtime.redis.close()


def test_a_key_that_expires_is_told_of_once_a_day_from_its_time_on(
    gateway: Gateway, runtime: Runtime, clock: ManualClock
) -> None:
    """From 14 days before, by default; also when it has expired."""
    gateway.keys.of("open").add(
        "41", Secret("s"), expires_at=clock.now() + timedelta(days=15), actor="ana"
    )

    def told() -> list[str]:
        with capture_logs() as logs:
            for _ in range(3):
                rotation.rotate(runtime)
        return [entry["reason"] for entry in logs if entry["event"] == "key_warn"]

    assert told() == []
    clock.advance(1.5 * DAY)
    assert told() == ["it expires at 2026-09-16 08:00 UTC"]
    clock.advance(DAY)
    assert told() == ["it expires at 2026-09-16 08:00 UTC"]
    clock.advance(14 * DAY)
    assert told() == ["it has expired"]
    with gateway.context.database.read() as session:
        events = audit_log.tail(session, audit_log.AuditFilter(action="keys:key:warn"))
        assert [(event.actor, event.subject) for event in events] == [("rotation", "open")] * 3


def test_doctor_warns_of_it_and_says_what_mends_it(gateway: Gateway, clock: ManualClock) -> None:
    """Of active keys only: a staged one that expires keeps nobody from working."""
    keys = gateway.keys.of("open")
    end = clock.now() + timedelta(days=15)
    keys.add("41", Secret("s"), actor="ana")
    keys.add("42", Secret("s"), slot="backup", expires_at=end, actor="ana")
    keys.stage("43", Secret("s"), expires_at=end, actor="ana")

    context = Context(gateway.settings, clock=clock, database=gateway.context.database)
    core, config = Core(context), gateway.settings.providers["open"]
    assert list(expiring_keys(core, config)) == []
    clock.advance(12 * DAY)
    (found,) = expiring_keys(core, config)
    assert found.grade == "warn"
    assert "(backup) expires at 2026-09-16" in found.what
    assert found.remedy == "sisgate keys stage open --slot backup"
