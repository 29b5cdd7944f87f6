"""`sisgate why`: how something stands, and who is at fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.formats import figures_text
from sisgate.cli.invocation import Invocation
from sisgate.cli.tables import Facts

if TYPE_CHECKING:
    from sisgate.gateway import Finding, Verdict

app = Commands()

COLOURS = {"well": "green", "warning": "yellow", "degraded": "yellow", "stopped": "bold red"}
MOST_OTHERS = 8
"""Further findings that are shown; `--json` has all."""

Subject = Annotated[
    str | None,
    typer.Argument(
        metavar="[PROVIDER|PROVIDER/DATASET|JOB]",
        help="What to explain: a job by the beginning of its id. The whole fleet by default.",
    ),
]


@app.add(
    "sisgate why",
    "sisgate why powerschool",
    "sisgate why powerschool/students",
    "sisgate why 3f8a --json",
    panel="Look",
)
def why(invocation: Invocation, subject: Subject = None) -> None:
    """Say how something stands and why: who is at fault, the evidence, what to do."""
    verdict = invocation.gateway.why(subject)
    invocation.output.json(verdict)
    invocation.output.show(Facts(list(_rows(verdict))))


def _rows(verdict: Verdict) -> Iterator[tuple[str, object]]:
    colour = COLOURS[verdict.standing]
    yield "what", Text.assemble(f"{verdict.subject}: ", (verdict.standing, colour))
    if not verdict.findings:
        yield "figures", figures_text(verdict.figures)
        return
    culprit = verdict.culprit
    if culprit is not None:
        yield "why", culprit.sentence
        yield "who", f"{_who(culprit)} ({culprit.certainty.word})"
        yield "do", culprit.remedy
        yield "evidence", figures_text(culprit.evidence)
        others = verdict.findings[1:]
    else:
        yield "why", "It is unclear: the evidence is thin. The candidates:"
        others = verdict.findings
    for each in others[:MOST_OTHERS]:
        remedy = f" {each.remedy}" if culprit is None else ""
        who = _who(each)
        what = f"{each.sentence} {who[:1].upper()}{who[1:]}, {each.certainty.word}.{remedy}"
        yield "also" if culprit is not None else "perhaps", what
    if len(others) > MOST_OTHERS:
        yield "also", f"{len(others) - MOST_OTHERS:,} more: --json shows them."


def _who(finding: Finding) -> str:
    return "nobody in particular" if finding.party.kind == "nobody" else str(finding.party)
