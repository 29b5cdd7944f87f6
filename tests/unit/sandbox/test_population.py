"""A district's data: relations that hold in both directions, and churn that keeps them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sisgate.sandbox.population.churn import Churner, ChurnRequest
from sisgate.sandbox.population.keys import StridedKeys, Table
from sisgate.sandbox.population.roster import Roster

SIZES = [1, 24, 230, 1700]


@pytest.mark.parametrize("students", SIZES)
def test_classes_and_enrollments_know_each_other(students: int) -> None:
    """Every enrollment's class exists and lists it."""
    roster = Roster(students, 3)
    for key in roster.enrollments.between(0, len(roster.enrollments)):
        assert roster.class_of(key) in roster.classes
    listed = [
        key
        for section in roster.classes.between(0, len(roster.classes))
        for key in roster.enrollments_of_class(section)
    ]
    assert sorted(listed) == list(roster.enrollments.between(0, len(roster.enrollments)))


@pytest.mark.parametrize("students", SIZES)
def test_teachers_teach_in_their_school(students: int) -> None:
    """A class's teacher exists and is of its school."""
    roster = Roster(students, 3)
    for key in roster.classes.between(0, len(roster.classes)):
        section = roster.section(key)
        assert section.teacher in roster.teachers
        assert roster.teacher(section.teacher).school == section.school


changes = st.builds(
    ChurnRequest,
    resource=st.sampled_from(["students", "teachers", "classes", "enrollments"]),
    insert=st.integers(0, 9),
    update=st.integers(0, 9),
    delete=st.integers(0, 9),
    delete_style=st.sampled_from(["remove", "tobedeleted"]),
)


@settings(max_examples=40)
@given(st.lists(changes, max_size=5))
def test_churn_leaves_no_enrollment_hanging(requests: list[ChurnRequest]) -> None:
    """Whatever is deleted, each enrollment's student and class are there, keys stay ascending."""
    roster = Roster(230, 3)
    churner = Churner(roster)
    for request in requests:
        churner.apply(request)
    keys = list(roster.enrollments.between(0, len(roster.enrollments)))
    assert keys == sorted(set(keys))
    assert all(key >> 3 in roster.students for key in keys)
    assert all(roster.class_of(key) in roster.classes for key in keys)
    churner.restore()
    assert len(roster.students) == 230


@given(st.lists(st.tuples(st.booleans(), st.sets(st.integers(8, 200))), max_size=6))
def test_table_is_a_sorted_set(steps: list[tuple[bool, set[int]]]) -> None:
    """Adding and removing keys is what a set does, in order."""
    table = Table("students", StridedKeys(10))
    model = set(StridedKeys(10))
    for add, keys in steps:
        if add:
            table.add(keys, "now")
            model |= keys
        else:
            table.remove(keys, "now", mark=False)
            model -= keys
        assert list(table.between(0, 1000)) == sorted(model)
