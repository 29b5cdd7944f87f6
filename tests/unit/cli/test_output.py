"""What is shown to people is data and never instructions to the terminal's painter."""

from __future__ import annotations

import pytest

from sisgate.cli.output import Output
from sisgate.cli.screens import table


def test_neither_actions_nor_names_are_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """`:key:` is no emoji in an action of the audit log, and a reason hides no part of itself."""
    made = table(("action", "reason"))
    made.add_row("keys:key:revoke", "[dim]not[/dim] leaked")
    output = Output()
    output.show(made)
    output.show("keys:key:add [bold]")
    shown = capsys.readouterr().out
    for words in ("keys:key:revoke", "[dim]not[/dim] leaked", "keys:key:add [bold]"):
        assert words in shown
