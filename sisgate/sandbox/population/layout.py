"""Who belongs where, by arithmetic: schools, cohorts of 25 students, grades, repeatable draws."""

from array import array
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from faker import Faker

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15


def draw(salt: int, index: int) -> int:
    """Return 64 well-mixed bits for `index` (splitmix64, Steele et al. 2014).

    >>> draw(1, 2) == draw(1, 2), draw(1, 2) == draw(2, 1)
    (True, False)
    """
    x = (salt + index * _GAMMA) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def salt_of(seed: int, word: str) -> int:
    """Return the salt of one table of a district: other words draw other numbers."""
    return draw(seed & _MASK, int.from_bytes(word.encode()[:8].ljust(8, b"\0"), "big"))


def picks(salt: int, size: int, count: int) -> list[int]:
    """Return up to `count` different numbers below `size`, in the order drawn."""
    chosen: dict[int, None] = {}
    index = 0
    while len(chosen) < min(count, size):
        chosen[draw(salt, index) % size] = None
        index += 1
        if index > 20 * count + 100:
            # Nearly all of a small range is asked for: take the rest in order.
            chosen.update(dict.fromkeys(range(size)))
            break
    return list(chosen)[:count]


# Faker's English names are all ASCII letters. Real rosters are not, and these are the ones that
# break clients: apostrophes, hyphens, spaces, combining marks, other scripts, a single letter.
_FAMILY = (
    "O'Brien", "D'Angelo", "N'Diaye", "García-López", "Smith-Jones", "van der Berg", "Nguyễn",
    "Þórsdóttir", "Łukasiewicz", "Müller", "Šimić", "De la Cruz", "St. John", "O", "王", "田中",
    "Иванова", "محمدی", "김", "כהן",
)  # fmt: skip
_GIVEN = (
    "Zoë", "D'Andre", "Mary-Kate", "José", "Siân", "Björk", "Đức", "Nuñez Ana", "Chloé", "Jo",
    "伟", "さくら", "Дмитрий", "فاطمة", "민준", "שרה",
)  # fmt: skip


class NamePools(NamedTuple):
    """What rows pick from. Tuples, because they are shared."""

    given: tuple[tuple[str, ...], tuple[str, ...]]
    """Female and male."""
    family: tuple[str, ...]
    streets: tuple[str, ...]
    cities: tuple[str, ...]
    schools: tuple[str, ...]


@lru_cache(maxsize=16)
def name_pools(seed: int) -> NamePools:
    """Return the pools of a seed. The same seed and Faker version give the same pools."""
    fake = Faker("en_US")
    fake.seed_instance(seed)
    female = tuple(fake.first_name_female() for _ in range(380))
    male = tuple(fake.first_name_male() for _ in range(380))
    family = tuple(fake.last_name() for _ in range(940))
    return NamePools(
        given=(female + _GIVEN, male + _GIVEN),
        family=family + _FAMILY * 3,
        streets=tuple(fake.street_address() for _ in range(600)),
        cities=tuple(fake.city() for _ in range(12)),
        schools=tuple(dict.fromkeys(fake.last_name() for _ in range(900))),
    )


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
