"""Limits, pauses and breakers of a provider, changed while the fleet runs."""

from functools import partial

from fastapi import APIRouter

from sisgate.web.deps import ACTOR, Caller, ProviderName
from sisgate.web.rights import operation
from sisgate.web.schemas.providers import (
    BecauseOrder,
    BreakerOrder,
    BreakersChanged,
    BreakersDocument,
    ChangeDocument,
    LimiterDocument,
    LimitsOrder,
    PauseOrder,
)

router = APIRouter(prefix="/v1/providers/{provider}", tags=["controls"])

LOOK = partial(operation, "look", "part of provider")


@router.get("/limits", **LOOK("Show the limits"))
def get_limits(provider: ProviderName, caller: Caller) -> LimiterDocument:
    """Return the limits in force, their use, and when the next permit is possible."""
    return LimiterDocument.of_state(caller.providers.control(provider).state())


@router.put("/limits", **operation("control", "provider", "Set the limits"))
def set_limits(provider: ProviderName, order: LimitsOrder, caller: Caller) -> ChangeDocument:
    """Set the limits of the whole fleet, persistently; null restores the configured ones."""
    control = caller.providers.control(provider)
    changed = control.set_limits(**dict(order), actor=ACTOR)
    return ChangeDocument(changed=changed, holds_now=control.holds_now)


@router.post("/pause", **operation("control", "provider", "Pause a provider"))
def pause_provider(provider: ProviderName, order: PauseOrder, caller: Caller) -> ChangeDocument:
    """Stop calls until a time, or until somebody resumes. Work waits."""
    control = caller.providers.control(provider)
    control.pause(**dict(order), actor=ACTOR)
    return ChangeDocument(changed=True, holds_now=control.holds_now)


@router.post("/resume", **operation("control", "provider", "Resume a provider"))
def resume_provider(provider: ProviderName, order: BecauseOrder, caller: Caller) -> ChangeDocument:
    """End a pause; `changed` is false if there was none."""
    control = caller.providers.control(provider)
    changed = control.resume(**dict(order), actor=ACTOR)
    return ChangeDocument(changed=changed, holds_now=control.holds_now)


@router.get("/breakers", **LOOK("Show the breakers"))
def get_breakers(provider: ProviderName, caller: Caller) -> BreakersDocument:
    """Return the circuit breaker of each endpoint, in the order of the configuration."""
    return BreakersDocument(endpoints=caller.providers.breakers(provider).standings())


@router.post("/breakers", **operation("control", "provider", "Pin breakers"))
def set_breakers(provider: ProviderName, order: BreakerOrder, caller: Caller) -> BreakersChanged:
    """Pin circuit breakers open, closed or half-open, or leave them to themselves (`auto`)."""
    breakers = caller.providers.breakers(provider)
    urls = breakers.set(
        order.state, order.endpoint, until=order.until, actor=ACTOR, reason=order.reason
    )
    return BreakersChanged(changed=bool(urls), holds_now=breakers.holds_now, endpoints=urls)
