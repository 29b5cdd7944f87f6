"""That a provider takes no calls is told once, and that it does again."""

from typing import Any

from sisgate import Gateway
from sisgate.breakers.spec import State
from testbed.clock import ManualClock
from tests.integration.webhooks.conftest import Deliver, MakeHook
from workers.maintenance.webhooks import watch_providers
from workers.runtime import Runtime


def test_a_degraded_provider_is_told_as_it_gets_worse_and_recovers(
    make_hook: MakeHook, deliver: Deliver, gateway: Gateway, runtime: Runtime, clock: ManualClock
) -> None:
    """One endpoint, all of them, none; nothing while nothing changes."""
    hook = make_hook("provider.degraded", "provider.recovered", url=None, providers=["twin"])
    breakers = runtime.breakers(runtime.configuration.current().providers["twin"])
    first, second = breakers.endpoints

    def told() -> list[dict[str, Any]]:
        watch_providers(runtime)
        watch_providers(runtime)
        deliver()
        return [
            {"type": event.type, **event.data} for event in gateway.webhooks.events(hook.id).events
        ]

    assert told() == []
    breakers.pin(first, State.OPEN)
    breakers.pin(second, State.CLOSED)
    assert told() == [
        {
            "type": "provider.degraded", "provider": "twin", "condition": "impaired",
            "reason": None, "endpoints": 2, "open_endpoints": 1, "next_probe_at": None,
        }
    ]  # fmt: skip
    breakers.pin(second, State.OPEN)
    gateway.providers.control("open").pause(None, actor="test")
    (_, held) = told()
    assert (held["condition"], held["reason"], held["open_endpoints"]) == ("held", "breaker", 2)
    clock.advance(90)
    for endpoint in (first, second):
        breakers.pin(endpoint, State.CLOSED)
    assert told()[2:] == [
        {
            "type": "provider.recovered", "provider": "twin", "condition": "healthy",
            "degraded_seconds": 90,
        }
    ]  # fmt: skip


def test_nobody_is_looked_at_while_nobody_asks(
    make_hook: MakeHook, gateway: Gateway, runtime: Runtime
) -> None:
    """And what was known is forgotten with the last webhook that asks."""
    from sisgate.ledger import webhooks

    hook = make_hook("provider.degraded")
    gateway.providers.control("open").pause(None, actor="test")
    watch_providers(runtime)
    with runtime.database.read() as session:
        assert {row.condition for row in webhooks.conditions(session).values()} == {
            "healthy", "held",
        }  # fmt: skip
    gateway.webhooks.remove(hook.id)
    watch_providers(runtime)
    with runtime.database.read() as session:
        assert webhooks.conditions(session) == {}
