"""`sisgate doctor`: finds what is wrong and how to fix it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.exits import ExitCode
from sisgate.cli.formats import counted
from sisgate.cli.invocation import Invocation
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Facts
from sisgate.errors import ConfigurationError, SisgateError
from sisgate.settings.files import sample_file
from sisgate.start_up import require_extras

if TYPE_CHECKING:
    from sisgate.gateway import DiagnosticResult

app = Commands()


COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@app.add("sisgate doctor", "sisgate doctor --probe --json", panel="Look")
def doctor(
    invocation: Invocation,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also make one call to each provider (one permit each).")
    ] = False,
) -> None:
    """Check configuration, database, Redis, workers, keys and tokens. Exits with 1 on a failure."""
    from sisgate.gateway import DiagnosticResult

    require_extras("sisgate doctor", "worker")
    output = invocation.output
    findings: list[DiagnosticResult] = []
    try:
        for finding in invocation.gateway.diagnosis.run(probe=probe):
            findings.append(finding)
            _show(output, finding)
    except SisgateError as error:
        remedy = (
            "Correct these lines, then run `sisgate doctor` again. Every setting is explained in "
            f"{sample_file()}."
            if isinstance(error, ConfigurationError)
            else None
        )
        findings.append(DiagnosticResult("configuration", "fail", str(error), remedy))
        _show(output, findings[-1])
    count = {grade: sum(f.grade == grade for f in findings) for grade in COLOURS}
    output.json({"ok": not count["fail"], "findings": findings})
    verdict = "All is well." if count["ok"] == len(findings) else (
        f"{count['fail']} failed, {counted(count['warn'], 'warning')}, {count['ok']} ok."
    )  # fmt: skip
    output.show(Text(verdict, "bold"))
    if count["fail"]:
        raise typer.Exit(ExitCode.FAILED)


def _show(output: Presenter, finding: DiagnosticResult) -> None:
    text = Text.assemble((finding.subject, "bold"), f": {finding.what}")
    if finding.grade != "ok" and finding.remedy:
        text.append(f"\n→ {finding.remedy}", "cyan")
    output.show(Facts([(finding.grade.ljust(4), text)], style=COLOURS[finding.grade]))
