"""`sisgate sla`: objectives, what is left of their error budgets, and a month's report."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sisgate.cli.app import Commands
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import MaybeProvider
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Columns
from sisgate.domain.figures import budget_left, duration, latency, percent
from sisgate.errors import UsageError

app = Commands()

HOW = (
    "No objectives are configured for {which}, so there is only what was measured. "
    "[objectives] in the configuration sets them; `sisgate config apply` applies it."
)


@app.add(
    "sisgate sla",
    "sisgate sla powerschool",
    "sisgate sla powerschool --month 2026-10 --html powerschool-2026-10.html",
    note="Objectives: docs/how-to/agree-on-service-levels.md",
    panel="Look",
)
def sla(
    invocation: Invocation,
    provider: MaybeProvider = None,
    month: Annotated[
        str | None, typer.Option("--month", help="A month, such as 2026-10, in UTC.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", help="Write a month's report to this file; the last whole month by default."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show every objective, not only those that were missed.")
    ] = False,
) -> None:
    """Show availability, latency and freshness against their objectives, for 1 h, 24 h and 30 d."""
    levels, output = invocation.gateway.sla, invocation.output
    if (month or html) and provider is None:
        raise UsageError("A month's report is of one provider: name it.")
    if html is not None and provider is not None:
        html.write_text(levels.report(provider, month), encoding="utf-8")
        output.result({"file": str(html)}, f"Written: {html}")
    elif month is not None and provider is not None:
        report = levels.month(provider, month)
        _show(output, [(report.month, report.level)], json=report, every=every)
        _hint(output, provider, report.level.measurements)
    elif provider is not None:
        found = levels.of(provider)
        _show(output, list(found.windows.items()), json=found, every=every)
        _hint(output, provider, found.has_objectives)
    else:
        providers = levels.list()
        output.table(providers, _FLEET, json=providers, empty="No provider is configured.")
        _hint(output, "any provider", any(each.has_objectives for each in providers))


def _met(level: Any) -> str | None:
    known = [each.is_met for each in level.measurements if each.is_met is not None]
    return f"met {sum(known)} of {len(known)}" if known else None


def _rate(rate: float | None) -> str | None:
    return None if rate is None else f"{rate:.2f}"


def _down(level: Any) -> str | None:
    return duration(level.down_seconds) if level.down else None


_FLEET: Columns = {
    "provider": "name",
    "calls in 30 d": lambda row: row.windows["30d"].calls,
    "down": lambda row: _down(row.windows["30d"]),
    "p95": lambda row: latency(row.windows["30d"].provider.quantile(0.95)),
    "queue p95": lambda row: latency(row.windows["30d"].queue.quantile(0.95)),
    "objectives": lambda row: _met(row.windows["30d"]),
    "least budget left": lambda row: budget_left(row.least.budget_left) if row.least else None,
    "burn rate in 1 h": lambda row: _rate(row.burn_rate),
}


def _hint(output: Presenter, which: str, has_some: object) -> None:
    if not has_some:
        output.show(HOW.format(which=which))


def _show(output: Presenter, levels: list[tuple[str, Any]], *, json: Any, every: bool) -> None:
    columns: Columns = {
        "span": lambda row: row[0],
        "calls": lambda row: row[1].calls,
        "down": lambda row: _down(row[1]),
        "provider p50": lambda row: latency(row[1].provider.quantile(0.5)),
        "p95": lambda row: latency(row[1].provider.quantile(0.95)),
        "p99": lambda row: latency(row[1].provider.quantile(0.99)),
        "queue p50": lambda row: latency(row[1].queue.quantile(0.5)),
        "queue p95": lambda row: latency(row[1].queue.quantile(0.95)),
        "objectives": lambda row: _met(row[1]),
    }
    output.table(levels, columns, json=json, empty="No provider is configured.")
    measured = [(span, each, level) for span, level in levels for each in level.measurements]
    if output.as_json or not measured:
        return
    output.show("")
    shown = [each for each in measured if every or each[1].is_met is False]
    if not shown:
        output.show("No objective was missed; --all shows each of them.")
        return
    objectives: Columns = {
        "span": lambda row: row[0],
        "objective": lambda row: _objective(row[1]),
        "target": lambda row: percent(row[1].target, 2),
        "measured": lambda row: _measured(row[1], row[2]),
        "met": lambda row: row[1].is_met,
        "budget left": lambda row: budget_left(row[1].budget_left),
        "burn rate": lambda row: _rate(row[1].burn_rate),
    }
    output.table(shown, objectives)
    if len(shown) < len(measured):
        output.show("Only what was missed; --all shows every objective.")


def _measured(measured: Any, level: Any) -> str:
    """Return the share that was good, and of how much of the span anything is known."""
    share = percent(measured.good_share, 2)
    if not measured.is_partial:
        return share
    seconds = (level.until - level.since).total_seconds()
    return f"{share} in {duration(measured.known_share * seconds)}"


def _objective(measured: Any) -> str:
    return f"{measured.resource or ''} {measured.objective}".strip()
