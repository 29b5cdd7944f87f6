"""`sisgate providers`: what is configured, and how it stands with its quota."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.formats import duration, moment, number
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import Provider
from sisgate.cli.tables import Columns
from sisgate.domain.priorities import Priority
from sisgate.gateway import AbsentDataset, ProviderOverview

app = Commands(
    "providers", "List providers: limits, quota left, keys, and what holds them up.", panel="Look"
)


COLUMNS: Columns = {
    "provider": lambda one: Text(one.name, "bold"),
    "limit": lambda one: _limits(one),
    "used": lambda one: one.windows[0].used if one.windows else None,
    "left": lambda one: one.windows[0].left if one.windows else None,
    "waiting": "waiting",
    "key": lambda one: _keys(one.key_slots),
    "state": lambda one: _state(one),
    "kind": lambda one: one.config.kind,
    "auth": lambda one: one.config.auth_method,
}


@app.add_default("sisgate providers", "sisgate providers show skyward")
def list_providers(invocation: Invocation) -> None:
    """Show all providers."""
    output = invocation.output
    found = invocation.gateway.providers.overview()
    for text in found.unknown:
        output.warn(text)
    output.table(
        found.providers,
        COLUMNS,
        empty="No provider is configured. sisgate.example.toml explains how; `sisgate demo` shows "
        "it.",
    )
    for text in dict.fromkeys(str(each) for one in found.providers for each in one.obstacles):
        output.warn(text)
    if any(one.is_overridden for one in found.providers):
        output.note("* set at run time: `sisgate limits show PROVIDER`")


@app.add("sisgate providers show powerschool")
def show(invocation: Invocation, provider: Provider) -> None:
    """Show everything about one provider."""
    found = invocation.gateway.providers.overview(provider)
    for text in found.unknown:
        invocation.output.warn(text)
    (one,) = found.providers
    invocation.output.facts(_rows(one), json=one.as_dict())


def _limits(one: ProviderOverview) -> str:
    """Return the limits in force; a star marks those that were set at run time."""
    if one.is_overridden:
        return ", ".join(str(window.rate) for window in one.windows) + " *"
    return ", ".join(map(str, one.config.windows)) or "off"


def _keys(slots: Sequence[str] | None) -> Text:
    if slots is None:
        return Text("?", "yellow")
    return Text(", ".join(sorted(slots)), "green") if slots else Text("missing", "bold red")


def _state(one: ProviderOverview) -> Text:
    state = one.limiter
    if state is None:
        return Text("?", "yellow")
    if one.obstacles:
        return Text(one.obstacles[0].message, "bold red")
    if state.paused_until is not None:
        return Text("paused", "yellow")
    if state.blocked_seconds:
        return Text(f"blocked {duration(state.blocked_seconds)}", "yellow")
    if one.is_held:
        return Text("held by its breaker" + "s" * (len(one.config.endpoints) > 1), "bold red")
    wait = state.next_permit_in_seconds.get(Priority.NORMAL, 0)
    if state.known and wait > 0:
        return Text(f"next in {duration(wait)}", "yellow")
    return Text("ready", "green")


def _endpoints(one: ProviderOverview) -> list[str]:
    lines = [f"{endpoint.url} (weight {endpoint.weight})" for endpoint in one.config.endpoints]
    for place, endpoint in enumerate(one.endpoints or ()):
        if (state := endpoint.breaker.state.value) != "closed":
            lines[place] += f": breaker {state}, see `sisgate breaker {one.name}`"
    return lines


def _absent(absent: AbsentDataset) -> str:
    return (
        f"{absent.resource}: {absent.message.rstrip('.')} (job {absent.job}). Syncs of "
        f"everything leave it out and ask again from {moment(absent.asked_again_at)} on."
    )


def _rows(one: ProviderOverview) -> list[tuple[str, object]]:
    config, state = one.config, one.limiter
    windows = [f"{w.used:,} used, {w.left:,} left of {w.rate}" for w in one.windows]
    rows: list[tuple[str, object]] = [
        ("provider", one.name),
        ("kind", config.kind),
        ("limit", _limits(one)),
        *(("quota", line) for line in windows or ["not counted yet"]),
        ("in flight", state and state.in_flight),
        ("waiting", f"{number(one.waiting)} messages"),
        ("state", _state(one)),
        *(("stopped by", str(each)) for each in one.obstacles),
        *(("endpoint", line) for line in _endpoints(one)),
        ("path", getattr(config.dialect, "base_path", None) or None),
        ("auth", config.auth_method),
        ("token", config.token_endpoint or "none"),
        ("keys", _keys(one.key_slots)),
        ("resources", ", ".join(config.dialect_class.resources)),
        *(("not offered", _absent(each)) for each in one.absent or ()),
    ]
    if state and state.blocked_seconds and state.block_reason:
        rows.append(("blocked", state.block_reason))
    if state and state.factor < 1:
        rows.append(
            ("slowed to", f"{state.factor:.0%} of the limit, because it asked for a slower pace")
        )
    return rows
