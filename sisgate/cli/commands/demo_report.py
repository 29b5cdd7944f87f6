"""What the demo has shown: one value, as JSON or as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from sisgate.cli.formats import number, state
from sisgate.cli.invocation import Invocation
from sisgate.cli.tables import Columns, Grid
from sisgate.gateway import JobStatus
from sisgate.ledger import records


def provider_report(
    invocation: Invocation, name: str, statuses: Sequence[JobStatus], seen: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what one provider's roster cost and changed. `seen` are the sandbox's own counts."""
    with invocation.database.read() as session:
        live = {
            s.resource: records.count_live(session, name, s.resource)
            for s in statuses
            if s.resource
        }
    limiter = invocation.limiter_state(invocation.settings.providers[name])
    windows = limiter.windows
    return {
        "resources": {s.resource: _resource(s, live) for s in statuses},
        "records": sum(live.values()),
        "calls": sum(s.calls_made for s in statuses),
        "limit": str(windows[0].rate) if windows else None,
        "quota_left": windows[0].left if windows else None,
        "seconds": _seconds(statuses),
        "sandbox": {
            "calls": seen["arrivals"],
            "throttled": seen["throttled"],
            "violations": seen["violations"],
            "quota_left": seen["quota_left"],
        },
    }


def totals(providers: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Return the sums over all providers."""
    rows = [row for p in providers.values() for row in p["resources"].values()]
    return {
        "records": sum(p["records"] for p in providers.values()),
        **{word: sum(row[word] for row in rows) for word in ("inserted", "updated", "deleted")},
        "calls": sum(p["calls"] for p in providers.values()),
        "throttled": sum(p["sandbox"]["throttled"] for p in providers.values()),
    }


def screens(report: Mapping[str, Any]) -> RenderableType:
    """Return both tables and the sentence that sums them up."""
    return Group(
        _resources_table(report["providers"]),
        "",
        _providers_table(report["providers"]),
        "",
        _verdict(report),
    )


def _resource(status: JobStatus, live: Mapping[str, int]) -> dict[str, Any]:
    assert status.resource is not None
    return {
        "job": status.id,
        "state": status.state.value,
        "complete": status.complete,
        "records": live[status.resource],
        "inserted": status.inserted,
        "updated": status.updated,
        "deleted": status.deleted,
        "calls": status.calls_made,
        "seconds": _seconds([status]),
        "note": status.note,
        "error": dict(status.error) if status.error else None,
    }


def _seconds(statuses: Sequence[JobStatus]) -> float:
    begun = [s.started_at or s.accepted_at for s in statuses]
    ended = [s.ended_at for s in statuses if s.ended_at]
    return round((max(ended) - min(begun)).total_seconds(), 2) if ended else 0.0


def _resources_table(providers: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    rows = [
        {"provider": name, "resource": resource, **row}
        for name, found in providers.items()
        for resource, row in found["resources"].items()
    ]
    columns: Columns = {
        "provider": lambda row: Text(row["provider"], "bold cyan"),
        **{name: name for name in (
            "resource", "records", "inserted", "updated", "deleted", "calls",
        )},
        "time": lambda row: timedelta(seconds=row["seconds"]),
        "state": lambda row: state(row["state"]),
    }  # fmt: skip
    return Grid(columns, rows)


def _providers_table(providers: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    columns: Columns = {
        "provider": lambda row: Text(row["provider"], "bold"),
        "limit": lambda row: row["limit"] or "off",
        "records": "records",
        "calls": "calls",
        "quota left": "quota_left",
        "throttled": lambda row: row["sandbox"]["throttled"],
        "time": lambda row: timedelta(seconds=row["seconds"]),
    }
    return Grid(columns, [{"provider": name, **found} for name, found in providers.items()])


def _verdict(report: Mapping[str, Any]) -> Text:
    sums = report["totals"]
    if not report["ok"]:
        return Text("Not every sync succeeded; see the states above.", "bold red")
    changes = f"{number(sums['inserted'])} inserts, {number(sums['updated'])} updates, "
    changes += f"{number(sums['deleted'])} deletes"
    cost = f"{number(sums['calls'])} calls, {number(sums['throttled'])} refused by a quota"
    if not report["changed"]:
        return Text(f"Nothing changed: {changes}. {cost}.", "bold green")
    return Text(f"{number(sums['records'])} records in SQL: {changes}. {cost}.", "bold green")
