"""`sisgate limits`, `pause`, `resume` and `plan`: show and change quota at run time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sisgate.cli.app import Commands
from sisgate.cli.formats import counted, duration, moment, number, percent
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import Priority, Provider, Reason, Resource, time_ahead
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Columns
from sisgate.errors import UsageError

if TYPE_CHECKING:
    from sisgate.gateway import LimiterState, Plan

top = Commands()

app = Commands(
    "limits", "Show and change the limits of providers while the fleet runs.", panel="Control"
)


WHILE_HELD = {"paused": "while it is paused", "breaker": "while its breaker is held open"}
"""Holds that only a person ends."""


def show_change(output: Presenter, text: str, *, holds_now: bool, **values: Any) -> None:
    """Show a change of a provider, with a warning if Redis does not have it yet."""
    output.result({**values, "holds_now": holds_now}, text)
    if not holds_now:
        output.warn(
            "Redis cannot be reached. The change is in the ledger and takes effect once Redis and "
            "a worker are back."
        )


@app.add("sisgate limits set powerschool 500/h 20/s", name="set")
def set_limits(
    invocation: Invocation,
    provider: Provider,
    limits: Annotated[
        list[str] | None, typer.Argument(help="Such as 500/h, 20/s or 60/10s. All apply at once.")
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Return to the configured limits.")
    ] = False,
    reason: Reason = None,
) -> None:
    """Change the limit of the whole fleet, starting with the next permit."""
    if limits and reset:
        raise UsageError("Give limits or --reset, not both.")
    if not limits and not reset:
        raise UsageError(
            f"Give a limit, as in `sisgate limits set {provider} 500/h`, or return to the "
            f"configured ones with `sisgate limits set {provider} --reset`."
        )
    from sisgate.domain.rates import Rate, are_faster

    control = invocation.gateway.providers.control(provider)
    changed = control.set_limits(limits or None, actor=user_name(), reason=reason)
    configured = invocation.gateway.providers.overview(provider).providers[0].limits
    if control.holds_now:
        rates = [str(window.rate) for window in control.state().windows]
    else:
        rates = limits or [str(rate) for rate in configured]
    show_change(
        invocation.output,
        f"The limit of {provider} {'is now' if changed else 'was already'} {', '.join(rates)}.",
        provider=provider,
        limits=rates,
        changed=changed,
        holds_now=control.holds_now,
    )
    if limits and are_faster(map(Rate.parse, limits), configured):
        invocation.output.warn(
            f"That is more than the configured {', '.join(map(str, configured))}. A provider that "
            "allows no more "
            f"refuses calls; `sisgate limits set {provider} --reset` returns to it."
        )


@app.add("sisgate limits show powerschool")
def show(invocation: Invocation, provider: Provider) -> None:
    """Show the limits in force, their use, and the time of the next call."""
    state = invocation.gateway.providers.control(provider).state()
    columns: Columns = {"limit": "rate", "used": "used", "left": "left"}
    invocation.output.table(state.windows, columns, json={"provider": provider, **state.as_dict()})
    for line in _notes(provider, state, invocation.clock.now()):
        invocation.output.show(line)


@top.add(
    "sisgate pause powerschool --for 2h",
    "sisgate pause powerschool --until 2026-12-01T06:00:00-06:00",
    panel="Control",
)
def pause(
    invocation: Invocation,
    provider: Provider,
    until: Annotated[datetime | None, time_ahead("How long", "--until", "--for")] = None,
    reason: Reason = None,
) -> None:
    """Stop calls to a provider until a time, or until `sisgate resume`. Its work waits."""
    control = invocation.gateway.providers.control(provider)
    control.pause(until, actor=user_name(), reason=reason)
    end = moment(until) if until else f"`sisgate resume {provider}`"
    show_change(
        invocation.output,
        f"{provider} is paused until {end}. Its work waits; nothing is lost.",
        provider=provider,
        paused_until=until,
        holds_now=control.holds_now,
    )


@top.add("sisgate resume powerschool", panel="Control")
def resume(invocation: Invocation, provider: Provider, reason: Reason = None) -> None:
    """Resume calls to a paused provider."""
    control = invocation.gateway.providers.control(provider)
    was_paused = control.resume(actor=user_name(), reason=reason)
    show_change(
        invocation.output,
        f"{provider} {'takes calls again' if was_paused else 'was not paused; it takes calls'}.",
        provider=provider,
        paused_until=None,
        changed=was_paused,
        holds_now=control.holds_now,
    )


@top.add("sisgate plan powerschool students", panel="Look")
def plan(
    invocation: Invocation, provider: Provider, resource: Resource, priority: Priority = "normal"
) -> None:
    """Forecast a sync: calls, remaining quota, start and end. Enqueues nothing."""
    output = invocation.output
    invocation.gateway.datasets.check(provider, resource)
    forecast = invocation.gateway.plan(provider, resource, priority=priority)
    output.result(
        {"provider": provider, "resource": resource, **vars(forecast)},
        f"{provider} {resource}: {_outlook(forecast, invocation.clock.now())}.",
    )
    if forecast.obstacles:
        output.warn(" ".join(map(str, forecast.obstacles)))


def _outlook(plan: Plan, now: datetime) -> str:
    needs = "its length is unknown before the first sync"
    if plan.calls:
        needs = f"needs {counted(plan.calls, 'call')}"
    if plan.obstacles:
        missing = "; ".join(obstacle.message for obstacle in plan.obstacles)
        return f"{needs}; times are unknown while {missing}"
    if plan.starts_at is None:
        is_endless = plan.hold is not None and plan.hold.next_probe_at is None
        when = WHILE_HELD[plan.hold.reason] if plan.hold and is_endless else "before its first call"
        return f"{needs}; quota and times are unknown {when}"
    left = "no limit" if plan.left is None else f"{number(plan.left)} left"
    done = _away(plan.done_by, now) or "at an unknown time"
    return f"{needs}; {left}; starts {_away(plan.starts_at, now)}; done {done}"


def _notes(provider: str, state: LimiterState, now: datetime) -> list[str]:
    notes = []
    if state.overridden:
        notes.append(f"Set at run time; undo with `sisgate limits set {provider} --reset`.")
    if state.factor < 1:
        pace = percent(state.factor)
        notes.append(f"Lowered by the adaptive throttle to {pace} of its usual pace.")
    if state.blocked_seconds > 0:
        notes.append(f"Blocked for {duration(state.blocked_seconds)}: {state.block_reason}.")
    if state.paused_until is not None:
        has_end = state.paused_until.year < 9999
        end = _away(state.paused_until, now) if has_end else "until resumed"
        notes.append(f"Paused; takes calls again {end}.")
    return notes


def _away(then: datetime | None, now: datetime) -> str | None:
    if then is None:
        return None
    seconds = (then - now).total_seconds()
    return "now" if seconds < 1 else f"in {duration(seconds)}"
