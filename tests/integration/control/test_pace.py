"""The adaptive pace: each change by an answer is audited with its reason; a shadow changes none."""

import pytest
from redis.connection import AbstractConnection
from structlog.testing import capture_logs

from sisgate import Gateway
from sisgate.domain.priorities import Priority
from sisgate.ledger import audit_log
from sisgate.providers.http import HttpResponse
from workers.admission import permits
from workers.admission.permits import Permit
from workers.runtime import Runtime

REFUSED = HttpResponse(status=429, headers={"Retry-After": "7"}, body=b"", elapsed_seconds=0.1)
FOREIGN = HttpResponse(
    status=200, headers={"X-RateLimit-Remaining": "10"}, body=b"{}", elapsed_seconds=0.1
)
FINE = HttpResponse(status=200, headers={}, body=b"{}", elapsed_seconds=0.1)


def answered(runtime: Runtime, answer: HttpResponse, adaptive: str = "on") -> float:
    """Make one call that is answered so; return for how long the provider wants to be left."""
    config = runtime.settings.providers["lincoln"].model_copy(update={"adaptive": adaptive})
    runtime.limiter.unblock("lincoln")
    grant = runtime.limiter.take("lincoln", runtime.limits(config), Priority.URGENT)
    permit = Permit.of_grant(grant, runtime.clock.monotonic())
    return permits.learn(runtime, config, permit, answer)


def factor(gateway: Gateway) -> float:
    """Return the factor in force."""
    return gateway.providers.control("lincoln").state().factor


def audited(gateway: Gateway) -> list[tuple[str | None, float, float]]:
    """Return reason, factor before and factor after of each audited change."""
    with gateway.context.database.read() as session:
        events = audit_log.tail(session, subject="lincoln")
    details = [event.detail or {} for event in events]
    return [
        (event.reason, detail["before"], detail["after"])
        for event, detail in zip(events, details, strict=True)
    ]


def test_a_refusal_lowers_the_pace_and_is_audited_with_its_reason(
    gateway: Gateway, runtime: Runtime
) -> None:
    """The factor halves for the whole fleet, and the audit log has it with `refused`."""
    assert answered(runtime, REFUSED) == 7.0
    assert factor(gateway) == 0.5
    assert audited(gateway) == [("refused", 1.0, 0.5)]


def test_a_recovery_is_audited_when_it_is_complete(gateway: Gateway, runtime: Runtime) -> None:
    """Of many small steps only the one that reaches the full pace is told."""
    runtime.limiter.set_factor("lincoln", 0.97)
    answered(runtime, FINE)
    assert factor(gateway) == pytest.approx(0.99)
    assert audited(gateway) == []
    answered(runtime, FINE)
    assert factor(gateway) == 1.0
    assert audited(gateway) == [("recovery", 0.99, 1.0)]


def test_a_shadow_tells_what_it_would_do_and_leaves_the_pace(
    gateway: Gateway, runtime: Runtime
) -> None:
    """It logs and changes nothing, and heeds Retry-After as ever."""
    with capture_logs() as logs:
        assert answered(runtime, REFUSED, "shadow") == 7.0
    told = [line for line in logs if line["event"] == "pace_would_change"]
    assert [(t["before"], t["after"], t["reason"]) for t in told] == [(1.0, 0.5, "refused")]
    assert factor(gateway) == 1.0
    assert audited(gateway) == []
    assert gateway.providers.control("lincoln").state().blocked_seconds > 0


def test_switched_off_nothing_is_told_or_changed(gateway: Gateway, runtime: Runtime) -> None:
    """`adaptive = "off"`: only Retry-After counts."""
    assert answered(runtime, REFUSED, "off") == 7.0
    assert factor(gateway) == 1.0
    assert audited(gateway) == []


def test_what_the_provider_has_left_is_compared_in_the_round_trip_of_the_end(
    gateway: Gateway, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far less than our windows have: somebody else uses the quota, so the pace falls."""
    answered(runtime, FOREIGN)  # now Redis has the scripts
    assert factor(gateway) == pytest.approx(10 / 99, abs=0.01)
    config = runtime.settings.providers["lincoln"]
    grant = runtime.limiter.take("lincoln", runtime.limits(config), Priority.URGENT)
    sent: list[object] = []
    sending = AbstractConnection.send_packed_command

    def send(self: AbstractConnection, command: object, *args: object, **more: object) -> object:
        sent.append(command)
        return sending(self, command, *args, **more)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", send)
    state = runtime.limiter.finish("lincoln", grant.permits[0], runtime.limits(config))
    assert len(sent) == 1
    assert state is not None
    assert (state.in_flight, [window.left for window in state.windows]) == (0, [98])
