"""docs/reference/errors.md shows what an answer means as the code has it."""

from __future__ import annotations

from pathlib import Path

from sisgate.domain.response_class import RULES, Outcome, ResponseClass

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "errors.md").read_text("utf-8")
BREAKER = {
    Outcome.SUCCESS: "success",
    Outcome.FAILURE: "failure",
    Outcome.NEUTRAL: "not counted",
}


def table() -> str:
    """The table as it is printed."""
    lines = ["| answer | limiter | circuit breaker | key | the call |", "|---|---|---|---|---|"]
    for kind, rule in RULES.items():
        cells = (
            kind.value, rule.pace.text, BREAKER[rule.breaker], rule.key.value, rule.call.value,
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_page_has_the_table_of_the_code() -> None:
    """Who changes a rule prints `table()` into the page."""
    assert table() in PAGE, f"the section What an answer means needs this table:\n{table()}"


def test_every_class_has_a_rule() -> None:
    """A new class without one would fail a call when it first comes."""
    assert set(RULES) == set(ResponseClass)
