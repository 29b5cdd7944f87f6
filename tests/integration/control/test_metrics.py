"""Metrics of a real fleet's state, read back by prometheus_client's own parser."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from pydantic import SecretStr

from sisgate import Gateway
from sisgate.cli.invocation import Invocation
from sisgate.cli.main import execute
from sisgate.domain.priorities import Priority
from sisgate.domain.response_class import Outcome
from sisgate.errors import BrokerUnavailable
from sisgate.monitoring.openmetrics import render
from workers.admission.messages import NotOurs, put_aside
from workers.runtime import Runtime

A, B = "https://sis-a.twin.test", "https://sis-b.twin.test/api"
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "monitoring.md"

Samples = dict[tuple[str, frozenset[str]], float]


def samples(gateway: Gateway) -> Samples:
    """Return each sample by its name and the values of its labels."""
    families = text_string_to_metric_families(render(gateway.fleet.metrics()))
    found = [sample for family in families for sample in family.samples]
    return {(s.name, frozenset(s.labels.values())): s.value for s in found}


def of(*values: str) -> frozenset[str]:
    """Return the values of a sample's labels."""
    return frozenset(values)


def test_breakers_and_calls_are_counted_by_the_scripts_that_move_them(
    gateway: Gateway, runtime: Runtime
) -> None:
    """Whoever told them, and also what a pin does not let count."""
    breakers = runtime.endpoints(runtime.settings.providers["twin"]).breakers
    for outcome in (Outcome.SUCCESS, Outcome.NEUTRAL, *[Outcome.FAILURE] * 3):
        token = breakers.ask(A).token
        assert token is not None
        breakers.report(A, token, outcome)
    gateway.providers.breakers("twin").set("half-open", "2", actor="ana")
    found = samples(gateway)
    calls = {o: found["sisgate_calls_total", of("twin", A, o)] for o in Outcome}
    assert calls == {Outcome.SUCCESS: 1, Outcome.NEUTRAL: 1, Outcome.FAILURE: 3}
    assert found["sisgate_breaker_transitions_total", of("twin", A, "open", "failures")] == 1
    assert found["sisgate_breaker_transitions_total", of("twin", B, "half-open", "pinned")] == 1
    assert found["sisgate_breaker_state", of("twin", A, "open")] == 1
    assert found["sisgate_breaker_state", of("twin", A, "closed")] == 0
    assert found["sisgate_breaker_pinned", of("twin", B)] == 1
    assert found["sisgate_queue_held", of("twin")] == 1
    assert found["sisgate_queue_held", of("lincoln")] == 0


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


def test_every_metric_has_a_row_and_no_label_an_id(gateway: Gateway) -> None:
    """What a job adds is a number, not a series."""
    text = render(gateway.fleet.metrics())
    gateway.sync("lincoln", "students")
    assert len(render(gateway.fleet.metrics()).splitlines()) == len(text.splitlines())
    (section,) = re.findall(
        r"^## Metrics\n(.*?)^## ", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    told = {name.removesuffix("_total") for name in re.findall(r"`(sisgate_\w+)`", section)}
    assert {family.name for family in text_string_to_metric_families(text)} == told


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
    assert [one["name"] for one in told["providers"]] == ["lincoln", "open", "twin"]
