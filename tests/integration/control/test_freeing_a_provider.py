"""What waits for a time of its own goes on at once when a person frees its provider."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from sisgate import Gateway
from sisgate.domain.states import CallState
from sisgate.gateway.control import ProviderControl
from sisgate.ledger.schema import Call
from workers.maintenance import reconciler
from workers.runtime import Runtime

Act = Callable[[Gateway], object]


def breakers(word: str) -> Act:
    """Set all breakers."""
    return lambda gateway: gateway.providers.breakers("twin").set(word, actor="ana")


def control(act: Callable[[ProviderControl], object]) -> Act:
    """Change what is set for the provider."""
    return lambda gateway: act(gateway.providers.control("twin"))


FREE = {
    "half-open": breakers("half-open"),
    "close": breakers("close"),
    "auto": breakers("auto"),
    "resume": control(lambda each: each.resume(actor="ana")),
    "limits": control(lambda each: each.set_limits("9000/h", actor="ana")),
}
HOLD = {"open": breakers("open"), "pause": control(lambda each: each.pause(actor="ana"))}


def failed_as_a_probe(gateway: Gateway, provider: str) -> int:
    """A call that waits for ten minutes, as after a long outage."""
    job = gateway.enqueue_request(provider, "GET", "/orgs")
    now = gateway.context.clock.now()
    with gateway.context.database.write() as session:
        call = session.query(Call).filter_by(job_id=job.id).one()
        call.state, call.is_retry = CallState.PLANNED.value, True
        call.not_before = now + timedelta(minutes=10)
        return call.id


def state_of(gateway: Gateway, call_id: int) -> str:
    """Of a call in the ledger."""
    with gateway.context.database.read() as session:
        return session.get_one(Call, call_id).state


@pytest.mark.parametrize("word", FREE)
def test_a_freed_providers_calls_are_published_at_once(
    gateway: Gateway, runtime: Runtime, word: str
) -> None:
    """And those of others wait on."""
    mine, other = failed_as_a_probe(gateway, "twin"), failed_as_a_probe(gateway, "open")
    FREE[word](gateway)
    reconciler.reconcile(runtime)
    assert (state_of(gateway, mine), state_of(gateway, other)) == ("queued", "planned")


@pytest.mark.parametrize("word", HOLD)
def test_a_held_providers_calls_wait_on(gateway: Gateway, runtime: Runtime, word: str) -> None:
    """Whoever stops a provider hurries nothing."""
    mine = failed_as_a_probe(gateway, "twin")
    HOLD[word](gateway)
    reconciler.reconcile(runtime)
    assert state_of(gateway, mine) == "planned"
