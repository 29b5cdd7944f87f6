"""Limits, pauses and breakers of a provider, changed while the fleet runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from sisgate.gateway import Gateway
from sisgate.web.deps import ACTOR, Caller, ProviderName
from sisgate.web.rights import needs
from sisgate.web.schemas.providers import (
    BecauseOrder,
    BreakerOrder,
    BreakersChanged,
    ChangeDocument,
    LimitsOrder,
    PauseOrder,
)

router = APIRouter(prefix="/v1/providers/{provider}", tags=["controls"])


@router.put("/limits", openapi_extra=needs("control", "provider"), summary="Set the limits")
async def set_limits(provider: ProviderName, order: LimitsOrder, caller: Caller) -> ChangeDocument:
    """Set the limits of the whole fleet, persistently; null restores the configured ones."""
    return await _changed(
        caller, provider,
        lambda control: control.set_limits(order.limits, actor=ACTOR, reason=order.reason),
    )  # fmt: skip


@router.post("/pause", openapi_extra=needs("control", "provider"), summary="Pause a provider")
async def pause_provider(
    provider: ProviderName, order: PauseOrder, caller: Caller
) -> ChangeDocument:
    """Stop calls until a time, or until somebody resumes. Work waits."""

    def pause(control: Any) -> bool:
        control.pause(order.until, actor=ACTOR, reason=order.reason)
        return True

    return await _changed(caller, provider, pause)


@router.post("/resume", openapi_extra=needs("control", "provider"), summary="Resume a provider")
async def resume_provider(
    provider: ProviderName, order: BecauseOrder, caller: Caller
) -> ChangeDocument:
    """End a pause; `changed` is false if there was none."""
    return await _changed(
        caller, provider, lambda control: control.resume(actor=ACTOR, reason=order.reason)
    )


async def _changed(caller: Gateway, provider: str, change: Callable[[Any], bool]) -> ChangeDocument:
    def run() -> ChangeDocument:
        control = caller.providers.control(provider)
        return ChangeDocument(changed=change(control), holds_now=control.holds_now)

    return await run_in_threadpool(run)


@router.post("/breakers", openapi_extra=needs("control", "provider"), summary="Pin breakers")
async def set_breakers(
    provider: ProviderName, order: BreakerOrder, caller: Caller
) -> BreakersChanged:
    """Pin circuit breakers open, closed or half-open, or leave them to themselves (`auto`)."""

    def run() -> BreakersChanged:
        breakers = caller.providers.breakers(provider)
        urls = breakers.set(
            order.state, order.endpoint, until=order.until, actor=ACTOR, reason=order.reason
        )
        return BreakersChanged(changed=bool(urls), holds_now=breakers.holds_now, endpoints=urls)

    return await run_in_threadpool(run)
