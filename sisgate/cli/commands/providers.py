"""`sisgate providers`: what is configured, and how it stands with its quota."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from rich.text import Text

from sisgate.admission.spec import LimiterState
from sisgate.broker import queue_depths
from sisgate.cli.app import Commands
from sisgate.cli.formats import duration, moment, number
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import Provider
from sisgate.cli.presenter import Presenter
from sisgate.domain.states import KeyState
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway import Obstacle
from sisgate.gateway.liveness import read_liveness
from sisgate.ledger.keys import list_keys
from sisgate.settings import ProviderConfig

app = Commands(
    "providers", "Show providers: limits, quota left, keys, what holds them up.", panel="Look"
)


@app.add_default("sisgate providers", "sisgate providers show skyward")
def list_providers(invocation: Invocation) -> None:
    """Show all providers."""
    output = invocation.output
    found = _all(invocation, output)
    output.table(
        found,
        {
            "provider": lambda one: Text(one["name"], "bold"),
            "limit": _limit_words,
            "used": lambda one: one["windows"][0]["used"] if one["windows"] else None,
            "left": lambda one: one["windows"][0]["left"] if one["windows"] else None,
            "waiting": "waiting",
            "key": lambda one: _key_words(one["keys"]),
            "state": _state_words,
            "kind": "kind",
            "auth": "auth",
        },
        json=found,
        empty="No provider is configured. sisgate.example.toml explains how; `sisgate demo` shows "
        "it.",
    )
    for text in dict.fromkeys(line for one in found for line in _obstacle_lines(one)):
        output.warn(f"{text[:1].upper()}{text[1:]}")
    if any(one["overridden"] for one in found):
        output.note("* set at run time: `sisgate limits show PROVIDER`")


@app.add("sisgate providers show powerschool")
def show(invocation: Invocation, provider: Provider) -> None:
    """Show everything about one provider."""
    output = invocation.output
    invocation.settings  # noqa: B018 - mistakes in the file come before an unknown name
    config = invocation.gateway.providers.get(provider)
    (found,) = _all(invocation, output, only=config)
    with suppress(DatabaseUnavailable):  # which `_all` has told of
        found["absent"] = [each.as_dict() for each in invocation.gateway.datasets.absent(provider)]
    output.facts(_rows(found), json=found)


def _all(
    invocation: Invocation, output: Presenter, *, only: ProviderConfig | None = None
) -> list[dict[str, Any]]:
    configs = [only] if only else list(invocation.settings.providers.values())
    keys = _keys(invocation, output)
    depths = _depths(invocation, output, [config.name for config in configs])
    liveness = None
    if depths is not None:
        liveness = read_liveness(invocation.gateway.context, [config.name for config in configs])
    found = []
    for config in configs:
        if depths is None or liveness is None:
            found.append(_facts(config, None, keys, None, None, ()))
            continue
        state, waiting = invocation.limiter_state(config), depths[config.name]
        standings = invocation.gateway.providers.breakers(config.name).standings()
        breakers = [one.as_dict() for one in standings]
        stopping = liveness.stopping(config.name)
        found.append(_facts(config, state, keys, waiting, breakers, stopping))
    return found


def _keys(invocation: Invocation, output: Presenter) -> dict[str, list[str]] | None:
    try:
        with invocation.database.read() as session:
            rows = [k for k in list_keys(session) if k.state == KeyState.ACTIVE]
    except DatabaseUnavailable as error:
        output.warn(error.message)
        return None
    slots: dict[str, list[str]] = {}
    for key in rows:
        slots.setdefault(key.provider, []).append(key.slot)
    return slots


def _depths(invocation: Invocation, output: Presenter, names: list[str]) -> dict[str, int] | None:
    try:
        return queue_depths(invocation.redis, names)
    except BrokerUnavailable:
        output.warn("Redis cannot be reached, so quota and backlog are not known.")
        return None


def _facts(
    config: ProviderConfig,
    state: LimiterState | None,
    keys: Mapping[str, list[str]] | None,
    waiting: int | None,
    breakers: list[dict[str, Any]] | None,
    obstacles: Sequence[Obstacle],
) -> dict[str, Any]:
    # Limits set at run time hold, and are known, also before the first call.
    windows = state.windows if state and (state.known or state.overridden) else ()
    return {
        "name": config.name,
        "kind": config.kind,
        "limits": [str(rate) for rate in config.windows],
        "burst": config.burst,
        "endpoints": [{"url": e.url, "weight": e.weight} for e in config.endpoints],
        "base_path": getattr(config.dialect, "base_path", None) or None,
        "auth": config.auth_method,
        "token_url": config.token_endpoint,
        "keys": None if keys is None else keys.get(config.name, []),
        "windows": [{"limit": str(w.rate), "used": w.used, "left": w.left} for w in windows],
        "overridden": bool(state and state.overridden),
        "in_flight": state.in_flight if state else None,
        "factor": state.factor if state else None,
        "blocked_seconds": state.blocked_seconds if state else None,
        "block_reason": state.block_reason if state else None,
        "paused_until": _paused(state),
        "next_permit_in_seconds": {
            priority.word: round(seconds, 3)
            for priority, seconds in (state.next_permit_in_seconds if state else {}).items()
        },
        "waiting": waiting,
        "held": bool(breakers) and all(one["state"] != "closed" for one in breakers or ()),
        "breakers": breakers,
        "obstacles": [obstacle.as_dict() for obstacle in obstacles],
        "known": bool(state and state.known),
        "resources": list(config.dialect_class.resources),
    }


def _paused(state: LimiterState | None) -> str | None:
    if state is None or state.paused_until is None:
        return None
    return "until resumed" if state.paused_until.year == 9999 else state.paused_until.isoformat()


def _limit_words(facts: Mapping[str, Any]) -> str:
    """Return the limits in force; a star marks those that were set at run time."""
    if facts["overridden"]:
        return ", ".join(window["limit"] for window in facts["windows"]) + " *"
    return ", ".join(facts["limits"]) or "off"


def _key_words(slots: list[str] | None) -> Text:
    if slots is None:
        return Text("?", "yellow")
    return Text(", ".join(sorted(slots)), "green") if slots else Text("missing", "bold red")


def _state_words(facts: Mapping[str, Any]) -> Text:
    if facts["waiting"] is None:
        return Text("?", "yellow")
    if facts["obstacles"]:
        return Text(facts["obstacles"][0]["message"], "bold red")
    if facts["paused_until"]:
        return Text("paused", "yellow")
    if facts["blocked_seconds"]:
        return Text(f"blocked {duration(facts['blocked_seconds'])}", "yellow")
    if facts["held"]:
        return Text("held by its breaker" + "s" * (len(facts["endpoints"]) > 1), "bold red")
    wait = facts["next_permit_in_seconds"].get("normal", 0)
    if facts["known"] and wait > 0:
        return Text(f"next in {duration(wait)}", "yellow")
    return Text("ready", "green")


def _obstacle_lines(facts: Mapping[str, Any]) -> list[str]:
    return [f"{one['message']}. {one['remedy']}" for one in facts["obstacles"]]


def _endpoint_lines(facts: Mapping[str, Any]) -> list[str]:
    lines = [f"{one['url']} (weight {one['weight']})" for one in facts["endpoints"]]
    for place, breaker in enumerate(facts["breakers"] or ()):
        if breaker["state"] != "closed":
            lines[place] += f": breaker {breaker['state']}, see `sisgate breaker {facts['name']}`"
    return lines


def _absent_words(absent: Mapping[str, Any]) -> str:
    again = moment(datetime.fromisoformat(absent["asked_again_at"]))
    return (
        f"{absent['resource']}: {absent['message'].rstrip('.')} (job {absent['job']}). Syncs of "
        f"everything leave it out and ask again from {again} on."
    )


def _rows(facts: Mapping[str, Any]) -> list[tuple[str, object]]:
    windows = [f"{w['used']:,} used, {w['left']:,} left of {w['limit']}" for w in facts["windows"]]
    rows: list[tuple[str, object]] = [
        ("provider", facts["name"]),
        ("kind", facts["kind"]),
        ("limit", _limit_words(facts)),
        *(("quota", line) for line in windows or ["not counted yet"]),
        ("in flight", facts["in_flight"]),
        ("waiting", f"{number(facts['waiting'])} messages"),
        ("state", _state_words(facts)),
        *(("stopped by", line) for line in _obstacle_lines(facts)),
        *(("endpoint", line) for line in _endpoint_lines(facts)),
        ("path", facts["base_path"]),
        ("auth", facts["auth"]),
        ("token", facts["token_url"] or "none"),
        ("keys", _key_words(facts["keys"])),
        ("resources", ", ".join(facts["resources"])),
        *(("not offered", line) for line in map(_absent_words, facts.get("absent", ()))),
    ]
    if facts["block_reason"] and facts["blocked_seconds"]:
        rows.append(("blocked", facts["block_reason"]))
    if facts["factor"] is not None and facts["factor"] < 1:
        rows.append(
            ("slowed to", f"{facts['factor']:.0%} of the limit, because it asked for a slower pace")
        )
    return rows
