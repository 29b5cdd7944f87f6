"""PowerSchool's `q`: what is met, and what is no search."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.sandbox.powerschool.lists import parse_search

ROW: dict[str, Any] = {
    "id": 8,
    "local_id": 1000008,
    "name": {"last_name": "Santos", "first_name": "Ines"},
    "school_enrollment": {"enroll_status": "A", "enroll_status_code": 0, "grade_level": 9,
                          "entry_date": "2026-08-17"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("school_enrollment.enroll_status_code==0", True),
        ("school_enrollment.enroll_status_code==2", False),
        ("school_enrollment.enroll_status==('A')", True),
        ("school_enrollment.enroll_status==(P,A)", True),
        ("name.last_name==S*", True),
        ("name.last_name==santos", True),
        ("name.last_name==S", False),
        ("name.last_name==S*;school_enrollment.grade_level=lt=9", False),
        ("school_enrollment.grade_level=lt=10", True),
        ("school_enrollment.entry_date=ge=2026-08-17", True),
        ("school_enrollment.entry_date=gt=2026-08-17", False),
        ("name.middle_name==*", False),
    ],
)
def test_search_is_met(text: str, *, met: bool) -> None:
    """Numbers compare as numbers, dates as text, and all comparisons must hold."""
    assert parse_search(text).matches(ROW) is met


@given(st.text(max_size=60))
def test_any_text_is_a_search_or_a_mistake(text: str) -> None:
    """No text raises anything else."""
    try:
        search = parse_search(text)
    except ValueError:
        return
    assert search.matches(ROW) in {True, False}
