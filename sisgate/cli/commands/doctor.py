"""`sisgate doctor`: finds what is wrong and how to fix it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.exits import ExitCode
from sisgate.cli.formats import counted
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import MaybeProvider
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Facts
from sisgate.errors import AccessDenied, ConfigurationError, SisgateError, UnknownProvider
from sisgate.settings.files import sample_file
from sisgate.start_up import require_extras

if TYPE_CHECKING:
    from sisgate.gateway import DiagnosticResult

app = Commands()


COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}

MOST_OK = 100
"""How many checks that are ok are shown; with thousands of providers, the rest is counted."""


@app.add("sisgate doctor", "sisgate doctor lincoln", "sisgate doctor --probe --json", panel="Look")
def doctor(
    invocation: Invocation,
    provider: MaybeProvider = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also make one call to each provider (one permit each).")
    ] = False,
) -> None:
    """Check configuration, database, Redis, workers, keys and tokens. Exits with 1 on a failure."""
    if invocation.service is None:
        require_extras("sisgate doctor", "worker")
    output = invocation.output
    findings: list[DiagnosticResult] = []
    well = 0
    with output.progress() as bars:
        bar = bars.add_task("checked", total=None)
        for finding in _findings(invocation, provider, probe=probe):
            findings.append(finding)
            bars.advance(bar)
            well += finding.grade == "ok"
            if finding.grade != "ok" or well <= MOST_OK:
                _show(output, finding)
        bars.update(bar, total=len(findings))
    if well > MOST_OK:
        output.show(Text(f"{well - MOST_OK:,} more are ok; --json lists them.", "dim"))
    count = {grade: sum(f.grade == grade for f in findings) for grade in COLOURS}
    output.json({"ok": not count["fail"], "findings": findings})
    verdict = "All is well." if count["ok"] == len(findings) else (
        f"{count['fail']} failed, {counted(count['warn'], 'warning')}, {count['ok']} ok."
    )  # fmt: skip
    output.show(Text(verdict, "bold"))
    if count["fail"]:
        raise typer.Exit(ExitCode.FAILED)


def _findings(
    invocation: Invocation, provider: str | None, *, probe: bool
) -> Iterator[DiagnosticResult]:
    """Yield the results; what ends the checks here is the last one."""
    from sisgate.gateway import DiagnosticResult

    try:
        yield from invocation.gateway.diagnosis.run(provider, probe=probe)
    except (UnknownProvider, AccessDenied):
        raise
    except SisgateError as error:
        if invocation.service is not None:
            raise  # nothing was checked: no right, or no answer
        remedy = (
            "Correct these lines, then run `sisgate doctor` again. Every setting is explained in "
            f"{sample_file()}."
            if isinstance(error, ConfigurationError)
            else None
        )
        yield DiagnosticResult("configuration", "fail", str(error), remedy)


def _show(output: Presenter, finding: DiagnosticResult) -> None:
    text = Text.assemble((finding.subject, "bold"), f": {finding.what}")
    if finding.grade != "ok" and finding.remedy:
        text.append(f"\n→ {finding.remedy}", "cyan")
    output.show(Facts([(finding.grade.ljust(4), text)], style=COLOURS[finding.grade]))
