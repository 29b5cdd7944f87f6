"""Reading and judging OneRoster filters."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.sandbox.oneroster.filters import FilterExpression, Term, parse_filter

words = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}(\.[a-z]{1,5})?", fullmatch=True).filter(
    lambda word: word != "dateLastModified"
)
terms = st.builds(
    Term, words, st.sampled_from(["=", "!=", ">", ">=", "<", "<=", "~"]), st.text(max_size=12)
)


def written(term: Term) -> str:
    """Write a term as a client does."""
    value = term.value.replace("'", "''")
    return f"{term.field}{term.op}'{value}'"


@given(terms, terms, st.sampled_from(["AND", "OR"]))
def test_filter_is_read_as_written(first: Term, second: Term, joint: str) -> None:
    """Fields, operators and values with any text come back."""
    read = parse_filter(f"{written(first)} {joint} {written(second)}")
    assert (read.terms, read.joint) == ((first, second), joint)


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_a_value_error(text: str) -> None:
    """Nothing else is raised."""
    with contextlib.suppress(ValueError):
        assert isinstance(parse_filter(text), FilterExpression)


ROW = {"status": "active", "n": None, "flag": True, "grades": ["03", "04"],
       "roles": [{"role": "student"}], "org": {"sourcedId": "x"},
       "dateLastModified": "2026-09-01T08:00:00.000Z"}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("status='ACTIVE'", True),
        ("role='student'", True),
        ("role='teacher'", False),
        ("flag='true'", True),
        ("grades='04'", True),
        ("grades!='04'", False),
        ("n='None'", False),
        ("org.sourcedId='x' AND status='inactive'", False),
        ("org.sourcedId='x' OR status='inactive'", True),
        ("status~'tiv'", True),
        ("dateLastModified>='2026-09-01T08:00:00Z'", True),
        ("dateLastModified>'2026-09-01T08:00:00Z'", False),
        ("dateLastModified<'2026-09-02'", True),
    ],
)
def test_row_is_judged(text: str, matches: bool) -> None:
    """Lists match by any element, case does not matter, dates compare as times."""
    assert parse_filter(text).matches(ROW) is matches
