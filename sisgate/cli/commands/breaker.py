"""`sisgate breaker`: shows the circuit breakers of endpoints, and sets them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.commands.limits import show_change
from sisgate.cli.formats import duration, moment, percent
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import Reason, complete_provider, time_ahead
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Columns, Grid, shown
from sisgate.domain.choices import BreakerSetting
from sisgate.errors import UsageError
from sisgate.stack.interrupts import until_interrupted

if TYPE_CHECKING:
    from sisgate.gateway.breakers import EndpointStatus

app = Commands()


WATCH_SECONDS = 1.0

Standings = Sequence[tuple[str, Sequence["EndpointStatus"]]]


@app.add(
    "sisgate breaker",
    "sisgate breaker powerschool --watch",
    "sisgate breaker powerschool open --until 2h --reason 'they migrate'",
    "sisgate breaker powerschool/2 close",
    "sisgate breaker powerschool/sis-b auto",
    note="A breaker set by hand keeps its state until --until or `auto`."
    " ENDPOINT is a number from the table, a host, or its first label.",
    panel="Control",
)
def breaker(
    invocation: Invocation,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="PROVIDER[/ENDPOINT]",
            help="All providers, one, or one endpoint of it.",
            autocompletion=complete_provider,
        ),
    ] = None,
    state: Annotated[
        BreakerSetting | None,
        typer.Argument(help="State to set by hand. Without it, show the breakers."),
    ] = None,
    until: Annotated[datetime | None, time_ahead("When that ends", "--until")] = None,
    reason: Reason = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh every second until Ctrl-C.")
    ] = False,
) -> None:
    """Show circuit breakers, or set them by hand."""
    output = invocation.output
    invocation.gateway  # noqa: B018 - report mistakes in the file before an unknown name
    provider, _, endpoint = (target or "").partition("/")
    if target is not None and (not provider or (not endpoint and "/" in target)):
        raise UsageError(f"Write PROVIDER or PROVIDER/ENDPOINT, not {target!r}.")
    if state is not None:
        if watch:
            raise UsageError("--watch does not combine with setting a breaker.")
        breakers = invocation.gateway.providers.breakers(provider)
        changed = breakers.set(
            state, endpoint or None, until=until, actor=user_name(), reason=reason
        )
        show_change(
            output,
            _effect(target or "", state, until, len(changed)),
            provider=provider,
            state=state,
            until=until,
            changed=changed,
            holds_now=breakers.holds_now,
            endpoints=breakers.standings() if breakers.holds_now else None,
        )
        return
    if until is not None or reason is not None:
        raise UsageError(
            f"--until and --reason need a state to set: {', '.join(get_args(BreakerSetting))}."
        )
    if endpoint:
        raise UsageError(
            f"Give the state to set for {target}: {', '.join(get_args(BreakerSetting))}."
        )
    if watch:
        _watch(invocation, output, provider)
    else:
        _show(output, _standings(invocation, provider), invocation.clock.now())


def _effect(place: str, setting: str, end: datetime | None, changed: int) -> str:
    if setting == "auto":
        if not changed:
            return f"{place} was not set by hand: its calls decide."
        return f"{place}: its calls decide again. An open breaker is due for a probe."
    effect = {
        "open": "is held open: it gets no calls",
        "close": "is held closed: it gets every call, even if calls fail",
        "half-open": "is held half-open: it gets one call at a time",
    }[setting]
    when = f"until {moment(end)}" if end else f"until `sisgate breaker {place} auto`"
    return f"{place} {effect}, {when}." + ("" if changed else " It was already.")


def _standings(invocation: Invocation, provider: str) -> Standings:
    """Return the breakers of a provider, or of all; `BrokerUnavailable`."""
    providers = invocation.gateway.providers
    if provider:
        return [(provider, providers.breakers(provider).standings())]
    return [
        # Without Redis none are known: asking for them says so.
        (each.name, each.endpoints or providers.breakers(each.name).standings())
        for each in providers.overview().providers
    ]


def _show(output: Presenter, standings: Standings, now: datetime) -> None:
    output.json({"at": now, "providers": dict(standings)})
    output.show(_screen(standings, now))


def _watch(invocation: Invocation, output: Presenter, provider: str) -> None:
    clock = invocation.clock
    if output.as_json or not output.out.is_terminal:
        for _ in until_interrupted(clock, WATCH_SECONDS):
            _show(output, _standings(invocation, provider), clock.now())
        return
    with Live(console=output.out, auto_refresh=False) as live:
        for _ in until_interrupted(clock, WATCH_SECONDS):
            live.update(_screen(_standings(invocation, provider), clock.now()), refresh=True)


def _screen(standings: Standings, now: datetime) -> RenderableType:
    if not standings:
        return Text("No provider is configured.")
    columns: Columns = {
        "provider": lambda row: Text(row[0], "bold"),
        "#": lambda row: row[1].number,
        "endpoint": lambda row: row[1].short_name,
        "state": lambda row: _state(row[1]),
        "by hand": lambda row: _pin(row[1], now),
        "next probe": lambda row: _next(row[1]),
        "in a row": lambda row: row[1].breaker.failures_in_a_row,
        "failed": lambda row: _share(row[1].breaker.failures, row[1].breaker.calls),
        "slow": lambda row: _share(row[1].breaker.slow, row[1].breaker.calls),
        "since": lambda row: _ago(row[1].breaker.changed_at, now),
        "checked": lambda row: _checked(row[1]),
    }
    rows = [(name, status) for name, endpoints in standings for status in endpoints]
    return Group(Grid(columns, rows), Text(f"at {moment(now)}", "dim"))


def _state(status: EndpointStatus) -> Text:
    text = shown(status.breaker.state)
    if status.unwell or status.ejected:
        text.append(" unwell" if status.unwell else " ejected", "yellow")
    return text


def _pin(status: EndpointStatus, now: datetime) -> Text:
    view = status.breaker
    if not view.pinned:
        return Text("-")
    if view.pinned_until is None:
        return Text("yes", "magenta")
    return Text(f"for {duration((view.pinned_until - now).total_seconds())}", "magenta")


def _share(part: int, calls: int) -> str:
    """Format a share of the calls in the window.

    >>> _share(3, 12), _share(0, 0)
    ('3 of 12, 25%', '-')
    """
    return f"{part} of {calls}, {percent(part / calls)}" if calls else "-"


def _ago(then: datetime | None, now: datetime) -> str:
    return "-" if then is None else f"{duration(max(0.0, (now - then).total_seconds()))} ago"


def _checked(status: EndpointStatus) -> str:
    return "-" if status.checked_seconds is None else f"{duration(status.checked_seconds)} ago"


def _next(status: EndpointStatus) -> str:
    """Return when the next probe is due; a dash if none is needed."""
    view = status.breaker
    if view.state.value == "closed":
        return "-"
    if view.wait_seconds == float("inf"):
        return "never"
    return f"in {duration(view.wait_seconds)}" if view.wait_seconds > 0 else "now"
