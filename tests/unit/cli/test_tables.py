"""Tables lose nothing, whatever the width of the terminal."""

import csv
import io
import sys
from collections.abc import Mapping
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console, RenderableType
from rich.text import Text

from sisgate.cli.presenter import Presenter, write_csv, write_line, write_lines
from sisgate.cli.tables import Facts, Grid, Prose
from sisgate.errors import SisgateError

ID = "0197f1c2-6c1e-7d6a-9d0b-0c5a1f2e3d4c"
PROVIDER = "consolidated-school-district-no-0042"
ERROR = "PowerSchool answered 503 Service Unavailable five times; the last try was at noon."

words = st.text(alphabet="abcdefgh-_/:0123456789", min_size=1, max_size=40).filter(
    lambda word: word != "-"  # which stands for no value, and takes no room below a row
)
texts = st.lists(words, max_size=12).map(" ".join)


def rendered(renderable: RenderableType, width: int) -> str:
    """What a terminal of that width is sent."""
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    console.print(renderable, overflow="ignore", crop=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def as_columns(row: Mapping[str, object]) -> dict[str, str]:
    """Columns named as the keys of a row are."""
    return {name: name for name in row}


JOB: dict[str, object] = {
    "job": ID, "accepted": "11-29 03:04", "app": "gradebook", "provider": PROVIDER,
    "what": "students", "state": "failed", "calls": 12345, "time": timedelta(seconds=75),
    "error": ERROR,
}  # fmt: skip


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_each_value_is_there_in_whole_at_every_width(width: int) -> None:
    """An id is on one line, so that it can be copied; no line is wider than the terminal."""
    shown = rendered(Grid(as_columns(JOB), [JOB, JOB]), width)
    for value in (ID, PROVIDER, "11-29 03:04", "gradebook", "12,345", "1 min 15 s"):
        assert shown.count(value) == 2
    assert " ".join(shown.split()).count(ERROR.split(maxsplit=1)[0]) == 2
    assert all(word in shown for word in ERROR.split())
    assert all(len(line) <= width for line in shown.splitlines())


def test_a_table_that_fits_has_one_line_a_row() -> None:
    """Heads, a rule, and the rows."""
    lines = rendered(Grid(as_columns(JOB), [JOB] * 3), 300).splitlines()
    assert len(lines) == 5
    assert lines[0].split() == list(JOB)


def test_what_does_not_fit_stands_below_its_row_behind_its_name() -> None:
    """The first columns stay side by side, and what a row doesn't have takes no line."""
    healthy = {**JOB, "job": "short", "state": "done", "calls": None, "time": None, "error": None}
    lines = rendered(Grid(as_columns(JOB), [JOB, healthy]), 80).splitlines()
    assert f"error {ERROR.split(maxsplit=1)[0]}" in " ".join(lines)
    assert "calls -" not in " ".join(lines)
    assert lines[0].split()[0] == "job"


@given(
    st.lists(
        st.fixed_dictionaries({"a": texts, "b": texts, "c": texts, "d": texts}),
        min_size=1, max_size=4,
    ),
    st.integers(min_value=1, max_value=120),
)  # fmt: skip
@example([{"a": "1", "b": "2 2", "c": "3", "d": "4"}], 4)
def test_no_word_is_lost_or_broken(rows: list[dict[str, str]], width: int) -> None:
    """Whatever stands in a table, its words come out whole, as often as they went in."""
    shown = rendered(Grid(as_columns(rows[0]), rows), width).split()
    for word in {word for row in rows for text in row.values() for word in text.split()}:
        expected = sum(text.split().count(word) for row in rows for text in row.values())
        assert shown.count(word) >= expected


def test_facts_keep_their_words_whole_and_leave_out_what_is_not_known() -> None:
    """A value that is too long for its line starts there and is left to the terminal."""
    shown = rendered(Facts([("job", ID), ("note", None), ("error", ERROR), ("ok", False)]), 30)
    assert ID in shown
    assert "note" not in shown
    assert shown.splitlines()[-1] == "ok     no"


def test_neither_actions_nor_names_are_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """`:key:` is no emoji in an action of the audit log, and a reason hides no part of itself."""
    output = Presenter()
    row = {"action": "keys:key:revoke", "reason": "[dim]not[/dim] leaked"}
    output.table([row], as_columns(row))
    output.show("keys:key:add [bold]")
    shown = capsys.readouterr().out
    for text in ("keys:key:revoke", "[dim]not[/dim] leaked", "keys:key:add [bold]"):
        assert text in shown


def test_a_provider_can_give_no_orders_to_the_terminal() -> None:
    """Control characters in what a provider wrote are shown as such."""
    assert "\x1b" not in rendered(Grid({"error": "error"}, [{"error": "bad\x1b[2J\x07"}]), 80)


def test_a_command_to_copy_stays_on_one_line() -> None:
    """What stands in backticks is copied as a whole."""
    text = "It is paused. `sisgate resume skyward` ends that."
    assert rendered(Prose(text), 30).splitlines() == [
        "It is paused.",
        "`sisgate resume skyward` ends",
        "that.",
    ]


HARMFUL = "\x1b]52;c;cm0=\x07 \x1b[2J \x9b2J \u202eno \rno"


def test_no_message_of_a_service_gives_orders_to_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a text that is shown as it is; colours of our own stay."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output = Presenter()
    assert output.out.is_terminal
    output.error(SisgateError(HARMFUL))
    output.warn(HARMFUL)
    output.show(HARMFUL)
    output.show(Text(HARMFUL, "red"))
    output.command(HARMFUL)
    output.table([{"a": Text(HARMFUL)}], {"a": "a"})
    output.facts([("a", Text(HARMFUL))], json=None)
    write_line(HARMFUL)
    write_lines([HARMFUL])
    write_csv(["a"], [{"a": HARMFUL}])
    shown = capsys.readouterr()
    assert "\x1b[" in shown.err
    assert shown.out.count("]52;c;cm0=") == 8
    for order in ("\x1b]", "\x1b[2J", "\x9b", "\x07", "\r", "\u202e"):
        assert order not in shown.err + shown.out


def test_what_is_piped_is_not_changed(capsys: pytest.CaptureFixture[str]) -> None:
    """Programs get the data as it is."""
    write_line(HARMFUL)
    write_csv(["a"], [{"a": "\x1b[2J"}])
    assert capsys.readouterr().out == f"{HARMFUL}\na\n\x1b[2J\n"


@pytest.mark.parametrize("text", ["=1+1", "@SUM(1)", "-1+cmd|' /C calc'!A0", "+A1", "\t=1"])
def test_no_name_is_a_formula_of_a_spreadsheet(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Whoever may choose a name chooses what an operator's spreadsheet would run."""
    write_csv(["a"], [{"a": text}])
    [cell] = list(csv.reader(io.StringIO(capsys.readouterr().out, newline="")))[1]
    assert cell == f"'{text}"


def test_numbers_stay_numbers_in_csv(capsys: pytest.CaptureFixture[str]) -> None:
    """Also those that are texts, and telephone numbers."""
    write_csv(["a", "b", "c"], [{"a": -5, "b": "-5.0", "c": "+1 (555) 010-0199"}])
    assert capsys.readouterr().out == "a,b,c\n-5,-5.0,+1 (555) 010-0199\n"
