"""Webhooks, as a duty of one worker: what happened becomes messages, and messages are sent.

Providers are looked at only while somebody wants to be told that one takes no calls.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from sisgate.breakers.spec import BreakerView, State
from sisgate.domain.webhook_events import Topic
from sisgate.gateway.availability import hold_of
from sisgate.gateway.hold import Hold
from sisgate.ledger import webhooks
from sisgate.ledger.schema import ProviderCondition
from sisgate.settings import ProviderConfig
from sisgate.webhooks.news import hand_out
from workers.runtime import Runtime

Condition = Literal["healthy", "impaired", "held"]

SHORT = timedelta(seconds=60)
"""A provider that wants no calls for less than this is not degraded: 429 is part of a quota."""


def deliver(runtime: Runtime) -> None:
    """Make messages of what has happened, and send what is due."""
    hand_out(runtime.database, runtime.clock)
    runtime.webhook_senders.start()


def watch_providers(runtime: Runtime) -> None:
    """Note which providers take no calls, or only some, and put each change into the outbox."""
    with runtime.database.read() as session:
        is_wanted = webhooks.is_wanted(session, Topic.PROVIDER)
        known = webhooks.conditions(session)
    providers = runtime.configuration.current().providers if is_wanted else {}
    if gone := known.keys() - providers:
        with runtime.database.write() as session:
            webhooks.forget_conditions(session, gone)
    for config in providers.values():
        _watch(runtime, config, known.get(config.name))


def condition_of(
    hold: Hold | None, views: Sequence[BreakerView], now: datetime
) -> tuple[Condition, str | None]:
    """Return the condition of a provider and why it is held."""
    if hold is not None and not _is_short(hold, now):
        return "held", hold.reason
    is_whole = all(view.state is State.CLOSED for view in views)
    return ("healthy" if is_whole else "impaired"), None


def _is_short(hold: Hold, now: datetime) -> bool:
    if hold.reason != "blocked" or hold.next_probe_at is None:
        return False
    return hold.next_probe_at - now < SHORT


def _watch(runtime: Runtime, config: ProviderConfig, known: ProviderCondition | None) -> None:
    hold, views = hold_of(runtime, config), runtime.breakers(config).views()
    now = runtime.clock.now()
    condition, reason = condition_of(hold, views, now)
    if condition == (known.condition if known else None):
        return
    with runtime.database.write() as session:
        row = webhooks.lock_condition(session, config.name, "healthy", now)
        if row.condition == condition:
            return
        data: dict[str, Any] = {"provider": config.name, "condition": condition}
        if condition == "healthy":
            seconds = round((now - row.since).total_seconds())
            state, data = "recovered", {**data, "degraded_seconds": seconds}
        else:
            state, data = "degraded", {**data, **_details(hold, views), "reason": reason}
        if condition == "healthy" or row.condition == "healthy":
            row.since = now
        row.condition = condition
        webhooks.tell(session, Topic.PROVIDER, now, provider=config.name, state=state, data=data)


def _details(hold: Hold | None, views: Sequence[BreakerView]) -> dict[str, Any]:
    next_probe = hold.next_probe_at if hold else None
    return {
        "endpoints": len(views),
        "open_endpoints": sum(view.state is not State.CLOSED for view in views),
        "next_probe_at": next_probe.isoformat() if next_probe else None,
    }
