"""Metrics of a real fleet's state, read back by prometheus_client's own parser."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from pydantic import SecretStr

from sisgate import Gateway, NewRequest
from sisgate.audit import sealer
from sisgate.audit.archive import Segment
from sisgate.audit.log import record
from sisgate.cli.invocation import Invocation
from sisgate.cli.main import execute
from sisgate.domain.call_results import CALL_OUTCOME
from sisgate.domain.priorities import Priority
from sisgate.domain.response_class import Outcome
from sisgate.errors import BrokerUnavailable
from sisgate.gateway import live_readings
from sisgate.monitoring.counting import count_next
from sisgate.testing import GatewayDouble
from workers.admission.messages import NotOurs, put_aside
from workers.maintenance.rollups import count
from workers.runtime import Runtime

A, B = "https://sis-a.twin.test", "https://sis-b.twin.test/api"

Samples = dict[tuple[str, frozenset[str]], float]


def samples(gateway: Gateway) -> Samples:
    """Return each sample by its name and the values of its labels."""
    families = text_string_to_metric_families(gateway.fleet.openmetrics())
    found = [sample for family in families for sample in family.samples]
    return {(s.name, frozenset(s.labels.values())): s.value for s in found}


def of(*values: str) -> frozenset[str]:
    """Return the values of a sample's labels."""
    return frozenset(values)


def test_breakers_are_counted_by_the_scripts_that_move_them(
    gateway: Gateway, runtime: Runtime
) -> None:
    """Whoever told them."""
    breakers = runtime.endpoints(runtime.settings.providers["twin"]).breakers
    for outcome in (Outcome.SUCCESS, Outcome.NEUTRAL, *[Outcome.FAILURE] * 3):
        token = breakers.ask(A).token
        assert token is not None
        breakers.report(A, token, outcome)
    gateway.providers.breakers("twin").set("half-open", "2", actor="ana")
    found = samples(gateway)
    assert found["sisgate_breaker_transitions_total", of("twin", A, "open", "failures")] == 1
    assert found["sisgate_breaker_transitions_total", of("twin", B, "half-open", "pinned")] == 1
    assert found["sisgate_breaker_state", of("twin", A, "open")] == 1
    assert found["sisgate_breaker_state", of("twin", A, "closed")] == 0
    assert found["sisgate_breaker_pinned", of("twin", B)] == 1
    assert found["sisgate_queue_held", of("twin")] == 1
    assert found["sisgate_queue_held", of("lincoln")] == 0


def ended(gateway: Gateway, number: int, **facts: Any) -> None:
    """A call to lincoln has ended; what it tells is in the audit log."""
    with gateway.context.database.write() as session:
        record(
            session, datetime.now(UTC), actor="worker", action=CALL_OUTCOME,
            subject=f"call/{number}", provider="lincoln", endpoint=A, priority=6, **facts,
        )  # fmt: skip


def test_calls_are_counted_with_what_their_time_was_spent_on(
    gateway: Gateway, runtime: Runtime
) -> None:
    """A counter by result, histograms by provider; nothing before the duty has counted."""
    for number in range(3):
        times = {"queue": 40.0, "permit": 20.0 * number, "ledger": 3, "provider": 100.0}
        ended(gateway, number, outcome="done", status=200, rows=10, ms=times)
    ended(gateway, 4, outcome="waits", status=503, ms={"provider": 2000.0})
    assert not any(name.startswith("sisgate_calls_total") for name, _ in samples(gateway))
    count(runtime)
    found = samples(gateway)
    assert found["sisgate_calls_total", of("lincoln", A, "ok", "normal")] == 3
    assert found["sisgate_calls_total", of("lincoln", A, "server_error", "normal")] == 1
    assert found["sisgate_rows_total", of("lincoln")] == 30
    assert found["sisgate_call_seconds_count", of("lincoln")] == 4
    assert found["sisgate_call_seconds_sum", of("lincoln")] == pytest.approx(2.3)
    assert found["sisgate_call_seconds_bucket", of("lincoln", "0.128")] == 3
    assert found["sisgate_call_seconds_bucket", of("lincoln", "2.048")] == 4
    assert found["sisgate_call_queue_seconds_count", of("lincoln", "normal")] == 3
    assert found["sisgate_permits_granted_total", of("lincoln")] == 3
    assert found["sisgate_permits_denied_total", of("lincoln")] == 2
    assert found["sisgate_ledger_seconds_count", of("claim")] == 3
    assert found["sisgate_counted_age_seconds", of()] < 60


def test_a_transaction_is_told_by_the_next_one_of_its_process() -> None:
    """No event can tell how long its own commit takes."""
    with GatewayDouble() as double:
        for _ in range(3):
            double.finish(double.gateway.enqueue_request("powerschool", "GET", "/x"))
        double.finish(double.gateway.enqueue([NewRequest("powerschool", "GET", "/y")] * 5)[-1])
        double.admin.audit.seal()
        while count_next(double.admin.context.database):
            pass
        found = samples(double.admin)
    made = sum(value for (name, _), value in found.items() if name == "sisgate_calls_total")
    assert made == 8
    assert found["sisgate_ledger_seconds_count", of("claim")] == 8
    assert found["sisgate_ledger_seconds_count", of("record")] == 7
    assert found["sisgate_ledger_seconds_count", of("acceptance")] == 3


def test_what_is_archived_has_been_counted(gateway: Gateway, tmp_path: Path) -> None:
    """Calls are counted from the log, so that none may leave it before."""
    ended(gateway, 1, outcome="done", status=200)
    sealer.seal(gateway.context.database, gateway.audit.keys, gateway.context.clock)
    ended(gateway, 2, outcome="done", status=200)
    sealer.seal(gateway.context.database, gateway.audit.keys, gateway.context.clock)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    gateway.audit.archive(Segment(tomorrow), tmp_path / "archive.jsonl", actor="ana")
    found = samples(gateway)
    assert found["sisgate_calls_total", of("lincoln", A, "ok", "normal")] == 2


def test_limits_queues_jobs_and_keys_are_told(gateway: Gateway, runtime: Runtime) -> None:
    """Each as it stands now."""
    limits = gateway.providers.control("lincoln").limits
    assert gateway.context.limiter.take("lincoln", limits, Priority.NORMAL)
    gateway.providers.control("lincoln").pause(actor="ana")
    gateway.sync("open", "students")
    gateway.enqueue_request("lincoln", "GET", "/x")
    expires = datetime.now(UTC) + timedelta(days=10)
    gateway.keys.of("lincoln").add("id", SecretStr("secret"), expires_at=expires, actor="ana")
    put_aside(runtime.redis, b"42", NotOurs("not an object"), "lincoln")
    found = samples(gateway)
    assert found["sisgate_limit_calls", of("lincoln", "100/h")] == 100
    assert found["sisgate_limit_used", of("lincoln", "100/h")] == 1
    assert found["sisgate_limit_left", of("lincoln", "100/h")] == 99
    assert found["sisgate_limit_factor", of("lincoln")] == 1
    assert found["sisgate_calls_in_flight", of("lincoln")] == 1
    assert found["sisgate_provider_paused", of("lincoln")] == 1
    assert found["sisgate_queue_messages", of("lincoln", "urgent")] == 1
    assert found["sisgate_jobs", of("open", "accepted")] == 1
    assert found["sisgate_jobs", of("open", "failed")] == 0
    assert 9.9 < found["sisgate_key_expiry_days", of("lincoln", "primary")] <= 10
    assert found["sisgate_quarantine_messages", of()] == 1


def test_no_label_has_an_id(gateway: Gateway) -> None:
    """What a job adds is a number, not a series."""
    text = gateway.fleet.openmetrics()
    gateway.sync("lincoln", "students")
    assert len(gateway.fleet.openmetrics().splitlines()) == len(text.splitlines())


def test_of_many_providers_the_idle_ones_are_left_out(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of zeros tell nothing; who has messages or was called is told."""
    monkeypatch.setattr(live_readings, "MOST_IDLE", 2)
    gateway.enqueue_request("lincoln", "GET", "/x")
    found = {values for name, values in samples(gateway) if name == "sisgate_limit_factor"}
    assert found == {of("lincoln")}


def test_half_a_reading_is_none(gateway: Gateway, runtime: Runtime) -> None:
    """Without Redis there is an error and no text."""
    lost = gateway.settings.model_copy(update={"broker_url": SecretStr("redis://127.0.0.1:1/0")})
    alone = Gateway(lost, database=gateway.context.database)
    with pytest.raises(BrokerUnavailable):
        alone.fleet.metrics()
    alone.close()


def test_the_command_writes_the_same(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As text that ends as OpenMetrics wants it, and as JSON."""
    monkeypatch.setattr(Invocation, "gateway", gateway)
    assert execute(["metrics"]) == 0
    text = capsys.readouterr().out
    assert text.endswith("# EOF\n")
    assert list(text_string_to_metric_families(text))
    assert execute(["metrics", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"provider": "lincoln", "value": 1} in told["sisgate_workers"]
