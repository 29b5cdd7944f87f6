"""Who belongs where, by arithmetic: schools, cohorts of 25 students, grades, teachers, courses."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

from sisgate.sandbox.population.draws import draw, salt_of

COHORT = 25
"""Students who share their classes; so also the size of a class."""
CLASSES_PER_COHORT = 6
COURSES_PER_LEVEL = 72


class Level(NamedTuple):
    """A level of schools: its name, its grades (0 is kindergarten), its relative size."""

    name: str
    grades: range
    weight: float

    @property
    def variants(self) -> int:
        """How many courses each grade offers in each subject."""
        return COURSES_PER_LEVEL // (CLASSES_PER_COHORT * len(self.grades))


ELEMENTARY = Level("Elementary School", range(6), 0.8)
MIDDLE = Level("Middle School", range(6, 9), 1.1)
HIGH = Level("High School", range(9, 13), 1.5)
LEVELS = (ELEMENTARY, MIDDLE, HIGH)
_LEVEL_OF_SCHOOL = (0, 2, 1, 0)


class School(NamedTuple):
    """One school and the index ranges of its students, cohorts and teachers."""

    number: int
    level: int
    first_student: int
    students: int
    first_cohort: int
    cohorts: int
    first_teacher: int
    teachers: int


class Layout:
    """The arithmetic of a district of `students` students.

    Students, cohorts and teachers of a school are contiguous index ranges, so that a school's
    students are a slice and a student's school a binary search.
    """

    def __init__(self, students: int, seed: int) -> None:
        self.students = students
        self.schools = _schools(students, salt_of(seed, "schools"))
        self.student_starts = [school.first_student for school in self.schools]
        self.teacher_starts = [school.first_teacher for school in self.schools]
        self.teachers = sum(school.teachers for school in self.schools)
        self.cohorts = sum(school.cohorts for school in self.schools)
        self.cohort_school = array("l")
        self.cohort_grade = bytearray()
        for school in self.schools:
            grades = LEVELS[school.level].grades
            self.cohort_school.extend([school.number] * school.cohorts)
            self.cohort_grade.extend(
                grades[n * len(grades) // school.cohorts] for n in range(school.cohorts)
            )

    def place(self, student: int) -> tuple[School, int]:
        """Return the school and the cohort of a student index."""
        school = self.schools[bisect_right(self.student_starts, student) - 1]
        return school, school.first_cohort + (student - school.first_student) // COHORT

    def school_of_teacher(self, teacher: int) -> School:
        """Return the school of a teacher index."""
        return self.schools[bisect_right(self.teacher_starts, teacher) - 1]

    def students_of_cohort(self, cohort: int) -> range:
        """Return the student indexes of a cohort."""
        school = self.schools[self.cohort_school[cohort]]
        first = school.first_student + (cohort - school.first_cohort) * COHORT
        return range(first, min(first + COHORT, school.first_student + school.students))


def _schools(students: int, salt: int) -> list[School]:
    count = max(2, round(students / 500))
    levels = [_LEVEL_OF_SCHOOL[n % len(_LEVEL_OF_SCHOOL)] for n in range(count)]
    weights = [
        LEVELS[level].weight * (0.8 + draw(salt, n) % 400 / 1000) for n, level in enumerate(levels)
    ]
    total = sum(weights)
    ends = [round(students * part / total) for part in accumulate(weights)]
    schools: list[School] = []
    student = cohort = teacher = 0
    for index, (level, end) in enumerate(zip(levels, ends, strict=True)):
        size = end - student
        cohorts, teachers = -(-size // COHORT), max(1, round(size / 18))
        schools.append(School(index, level, student, size, cohort, cohorts, teacher, teachers))
        student, cohort, teacher = end, cohort + cohorts, teacher + teachers
    return schools
