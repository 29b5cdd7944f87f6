"""`sisgate providers`: the configured providers, and the state of their quotas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.formats import duration, moment, number, percent
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import Provider
from sisgate.cli.tables import Columns
from sisgate.domain.priorities import Priority
from sisgate.settings.files import sample_file

if TYPE_CHECKING:
    from sisgate.gateway import AbsentDataset, ProviderOverview

app = Commands(
    "providers",
    "List providers: limits, quota left, keys, and obstacles. Add, edit, remove.",
    panel="Look",
)


COLUMNS: Columns = {
    "provider": lambda each: Text(each.name, "bold"),
    "limit": lambda each: _limits(each),
    "used": lambda each: each.windows[0].used if each.windows else None,
    "left": lambda each: each.windows[0].left if each.windows else None,
    "waiting": "waiting",
    "key": lambda each: _keys(each.key_slots),
    "state": lambda each: _state(each),
    "kind": lambda each: each.kind,
    "auth": lambda each: each.auth,
}


@app.add_default("sisgate providers", "sisgate providers show skyward")
def list_providers(invocation: Invocation) -> None:
    """Show all providers."""
    output = invocation.output
    overview = invocation.gateway.providers.overview()
    for text in overview.unknown:
        output.warn(text)
    output.table(
        overview.providers,
        COLUMNS,
        empty=f"No provider is configured. Write a sisgate.toml as in {sample_file()}, or try "
        "`sisgate demo`.",
    )
    stopping = (one for each in overview.providers for one in each.obstacles)
    for text in dict.fromkeys(map(str, (*stopping, *overview.periodic))):
        output.warn(text)
    if any(each.is_overridden for each in overview.providers):
        output.note("* set at run time: `sisgate limits show PROVIDER`")


@app.add("sisgate providers show powerschool")
def show(invocation: Invocation, provider: Provider) -> None:
    """Show everything about one provider."""
    overview = invocation.gateway.providers.overview(provider)
    for text in overview.unknown:
        invocation.output.warn(text)
    (details,) = overview.providers
    invocation.output.facts(_rows(details), json=details.as_dict())
    for one in overview.periodic:
        invocation.output.warn(str(one))


def _limits(provider: ProviderOverview) -> str:
    """Return the limits in force, with a star if they were set at run time."""
    if provider.is_overridden:
        return ", ".join(str(window.rate) for window in provider.windows) + " *"
    return ", ".join(map(str, provider.limits)) or "off"


def _keys(slots: Sequence[str] | None) -> Text:
    if slots is None:
        return Text("?", "yellow")
    return Text(", ".join(sorted(slots)), "green") if slots else Text("missing", "bold red")


def _state(provider: ProviderOverview) -> Text:
    state = provider.limiter
    if state is None:
        return Text("?", "yellow")
    if provider.obstacles:
        return Text(provider.obstacles[0].message, "bold red")
    if state.paused_until is not None:
        return Text("paused", "yellow")
    if state.blocked_seconds:
        return Text(f"blocked {duration(state.blocked_seconds)}", "yellow")
    if provider.is_held:
        return Text("held by its breaker" + "s" * (len(provider.weights) > 1), "bold red")
    if provider.is_refused:
        return Text("refuses its key" + "s" * (len(provider.refused_slots) > 1), "bold red")
    wait = state.next_permit_in_seconds.get(Priority.NORMAL, 0)
    if state.known and wait > 0:
        return Text(f"next in {duration(wait)}", "yellow")
    return Text("ready", "green")


def _workers(provider: ProviderOverview) -> Text:
    if provider.workers is None:
        return Text("?", "yellow")
    return Text(", ".join(provider.workers)) if provider.workers else Text("no worker", "bold red")


def _endpoints(provider: ProviderOverview) -> list[str]:
    lines = [f"{url} (weight {weight})" for url, weight in provider.weights.items()]
    for place, endpoint in enumerate(provider.endpoints or ()):
        if (state := endpoint.breaker.state.value) != "closed":
            lines[place] += f": breaker {state}, see `sisgate breaker {provider.name}`"
    return lines


def _absent(absent: AbsentDataset) -> str:
    return (
        f"{absent.resource}: {absent.message.rstrip('.')} (job {absent.job}). Syncs of "
        f"everything leave it out until {moment(absent.asked_again_at)}."
    )


def _rows(provider: ProviderOverview) -> list[tuple[str, object]]:
    state = provider.limiter
    windows = [f"{w.used:,} used, {w.left:,} left of {w.rate}" for w in provider.windows]
    rows: list[tuple[str, object]] = [
        ("provider", provider.name),
        ("kind", provider.kind),
        ("limit", _limits(provider)),
        *(("quota", line) for line in windows or ["not counted yet"]),
        ("in flight", state and state.in_flight),
        ("waiting", f"{number(provider.waiting)} messages"),
        ("pool", provider.pool),
        ("served by", _workers(provider)),
        ("state", _state(provider)),
        *(("stopped by", str(each)) for each in provider.obstacles),
        *(("endpoint", line) for line in _endpoints(provider)),
        ("path", provider.base_path),
        ("auth", provider.auth),
        ("token", provider.token_url or "none"),
        ("keys", _keys(provider.key_slots)),
        ("resources", ", ".join(provider.resources)),
        *(("not offered", _absent(each)) for each in provider.absent or ()),
    ]
    if state and state.blocked_seconds and state.block_reason:
        rows.append(("blocked", state.block_reason))
    if state and state.factor < 1:
        rows.append(
            ("slowed to", f"{percent(state.factor)} of the limit, because it asked for fewer calls")
        )
    return rows
