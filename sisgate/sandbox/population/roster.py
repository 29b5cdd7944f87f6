"""The facts of a district, dialect-free: people, classes and enrollments made from their keys.

Keys are integers with gaps (`StridedKeys`) that tell what a row hangs on: a student's index is
`key // 8 - 1`, an enrollment's student is `key // 8` and its slot `key % 8`, a class's cohort is
`key // 16 - 1` and its slot `key % 16`. So every relation is arithmetic in both directions.
"""

from collections.abc import Iterator
from typing import NamedTuple

from sisgate.sandbox.population.keys import StridedKeys, Table
from sisgate.sandbox.population.layout import (
    CLASSES_PER_COHORT,
    COURSES_PER_LEVEL,
    LEVELS,
    Layout,
    School,
    draw,
    name_pools,
    salt_of,
)

SCHOOL_YEAR = 2026
"""The year in which the school year starts; fixed, so that rows depend on the seed alone."""
YEAR_START, YEAR_END = f"{SCHOOL_YEAR}-08-17", f"{SCHOOL_YEAR + 1}-06-04"
SEMESTERS = ((YEAR_START, f"{SCHOOL_YEAR}-12-18"), (f"{SCHOOL_YEAR + 1}-01-05", YEAR_END))

SUBJECTS = ("English", "Mathematics", "Science", "Social Studies", "Arts", "Physical Education")
VARIANTS = ("", " Honors", " Lab", " Applied")

_STAMPS = tuple(
    f"{SCHOOL_YEAR}-{7 + n % 2:02d}-{n % 28 + 1:02d}T{n % 10 + 7:02d}:{n * 7 % 60:02d}"
    f":{n * 13 % 60:02d}.000Z"
    for n in range(4096)
)
LAST_BASE_STAMP = max(_STAMPS)
"""No row that was never touched is newer than this."""

_MONTHS = (9, 10, 11, 12, 1, 2, 3, 4, 5, 6, 7, 8)
_BIRTHDAYS = tuple(
    (0 if month >= 9 else 1, f"-{month:02d}-{day:02d}") for month in _MONTHS for day in range(1, 29)
)


class Student(NamedTuple):
    """A student as all dialects see one. `grade` 0 is kindergarten, `sex` 0 female, 1 male."""

    school: School
    grade: int
    given: str
    middle: str | None
    family: str
    sex: int
    number: int
    bits: int


class Teacher(NamedTuple):
    """A member of staff who teaches."""

    school: School
    given: str
    family: str
    number: int


class Course(NamedTuple):
    """One course of one level of schools."""

    level: int
    grade: int
    title: str
    code: str
    subject: str


class Section(NamedTuple):
    """One class: a course taught to a cohort. `term` is 0 the year, 1 and 2 a semester."""

    school: School
    grade: int
    course: int
    teacher: int
    term: int
    period: int
    room: int
    number: int


class Roster:
    """All tables of one district and the facts of each row. Lookups take keys that exist."""

    def __init__(self, students: int, seed: int) -> None:
        self.layout = layout = Layout(students, seed)
        self.seed = seed
        self.pools = name_pools(seed)
        self._student_salt = salt_of(seed, "students")
        self._teacher_salt = salt_of(seed, "teachers")
        self._class_salt = salt_of(seed, "classes")
        self._stamp_salt = salt_of(seed, "modified")
        self.courses = [_course(n) for n in range(len(LEVELS) * COURSES_PER_LEVEL)]
        per = CLASSES_PER_COHORT
        self.districts = Table("district", StridedKeys(1))
        self.schools = Table("schools", StridedKeys(len(layout.schools)))
        self.years = Table("years", StridedKeys(1))
        self.terms = Table("terms", StridedKeys(2))
        self.grading_periods = Table("grading_periods", StridedKeys(4))
        self.course_table = Table("courses", StridedKeys(len(self.courses)))
        self.teachers = Table("teachers", StridedKeys(layout.teachers))
        self.students = Table("students", StridedKeys(students))
        self.classes = Table("classes", StridedKeys(layout.cohorts * per, per=per, stride=16))
        self.enrollments = Table("enrollments", StridedKeys(students * per, per=per, stride=64))

    def tables(self) -> tuple[Table, ...]:
        """Return every table, parents first."""
        return (
            self.districts, self.schools, self.years, self.terms, self.grading_periods,
            self.course_table, self.teachers, self.students, self.classes, self.enrollments,
        )  # fmt: skip

    def modified(self, table: Table, key: int) -> str:
        """Return when a row last changed, as `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
        touch = table.touched.get(key)
        if touch is not None:
            return touch.modified
        return _STAMPS[(key * 2654435761 ^ self._stamp_salt) & 4095]

    def student(self, key: int) -> Student:
        """Return the facts of a student."""
        bits = draw(self._student_salt, key)
        school, cohort = self.layout.place((key >> 3) - 1)
        pools = self.pools
        sex = bits & 1
        given = pools.given[sex]
        family = bits >> 12
        if self.students.touched:
            family += self.students.version(key) * 7
        return Student(
            school,
            self.layout.cohort_grade[cohort],
            given[(bits >> 1) % len(given)],
            given[(bits >> 24) % len(given)] if bits >> 60 > 4 else None,
            pools.family[family % len(pools.family)],
            sex,
            1_000_000 + key,
            bits,
        )

    def birth_date(self, student: Student) -> str:
        """Return a birth date that fits the grade: five years old on entering kindergarten."""
        late, day = _BIRTHDAYS[(student.bits >> 36) % len(_BIRTHDAYS)]
        return f"{SCHOOL_YEAR - 6 - student.grade + late}{day}"

    def teacher(self, key: int) -> Teacher:
        """Return the facts of a teacher."""
        bits = draw(self._teacher_salt, key)
        given = self.pools.given[bits & 1]
        family = (bits >> 12) + self.teachers.version(key) * 7
        return Teacher(
            self.layout.school_of_teacher((key >> 3) - 1),
            given[(bits >> 1) % len(given)],
            self.pools.family[family % len(self.pools.family)],
            50_000 + key,
        )

    def section(self, key: int) -> Section:
        """Return the facts of a class."""
        cohort, slot = (key >> 4) - 1, key & 15
        school = self.layout.schools[self.layout.cohort_school[cohort]]
        grade, level = self.layout.cohort_grade[cohort], LEVELS[school.level]
        bits = draw(self._class_salt, key)
        subject = slot % CLASSES_PER_COHORT
        course = (grade - level.grades.start) * CLASSES_PER_COHORT + subject
        version = self.classes.version(key)
        local = (cohort - school.first_cohort) * CLASSES_PER_COHORT + slot
        return Section(
            school,
            grade,
            school.level * COURSES_PER_LEVEL + course * level.variants + bits % level.variants,
            self._teacher_of(school, local),
            max(0, subject - 3),
            slot + 1,
            100 + (bits >> 8) % 80 + version,
            local + 1,
        )

    def class_of(self, enrollment: int) -> int:
        """Return the class key of an enrollment. Slots 6 and 7 are classes of other cohorts."""
        student, slot = enrollment >> 3, enrollment & 7
        school, cohort = self.layout.place((student >> 3) - 1)
        if slot >= CLASSES_PER_COHORT:
            ahead = cohort - school.first_cohort + slot - 5
            cohort = school.first_cohort + ahead % school.cohorts
            slot -= CLASSES_PER_COHORT
        return (cohort + 1) * 16 + slot

    def enrollments_of_student(self, student: int) -> list[int]:
        """Return the live enrollment keys of a student, ascending."""
        table = self.enrollments
        return list(table.between(*table.span(student * 8, student * 8 + 8)))

    def enrollments_of_class(self, section: int) -> list[int]:
        """Return the live enrollment keys of a class, ascending."""
        live = [key for key in self._candidates(section) if key in self.enrollments]
        return sorted(set(live))

    def _candidates(self, section: int) -> Iterator[int]:
        cohort, slot = (section >> 4) - 1, section & 15
        if slot >= CLASSES_PER_COHORT:
            return
        yield from (student * 8 + slot for student in self._students_of_cohort(cohort))
        if slot < 2:
            school = self.layout.schools[self.layout.cohort_school[cohort]]
            behind = (cohort - school.first_cohort - slot - 1) % school.cohorts
            for student in self._students_of_cohort(school.first_cohort + behind):
                yield student * 8 + CLASSES_PER_COHORT + slot

    def _students_of_cohort(self, cohort: int) -> Iterator[int]:
        indexes = self.layout.students_of_cohort(cohort)
        table = self.students
        start, stop = table.span((indexes.start + 1) * 8, (indexes.stop + 1) * 8)
        yield from table.between(start, stop)

    def _teacher_of(self, school: School, local: int) -> int:
        """Return the key of a teacher of the school who is still there, if any is."""
        for shift in range(school.teachers):
            index = school.first_teacher + (local + shift) % school.teachers
            key = (index + 1) * 8
            if not self.teachers.revision or key in self.teachers:
                return key
        return (school.first_teacher + 1) * 8


def _course(number: int) -> Course:
    level_number, rest = divmod(number, COURSES_PER_LEVEL)
    level = LEVELS[level_number]
    offered, variant = divmod(rest, level.variants)
    grade_number, subject_number = divmod(offered, CLASSES_PER_COHORT)
    grade, subject = level.grades[grade_number], SUBJECTS[subject_number]
    title = f"{subject} {grade or 'K'}{VARIANTS[variant]}"
    code = f"{subject[:3].upper()}{grade:02d}{variant + 1}0"
    return Course(level_number, grade, title, code, subject)


def school_name(roster: Roster, index: int, version: int = 0) -> str:
    """Return the name of a school by its index; an update renames it."""
    names = roster.pools.schools
    level = LEVELS[roster.layout.schools[index].level].name
    number = f" {index // len(names) + 1}" if index >= len(names) else ""
    renamed = f" (Campus {version})" if version else ""
    return f"{names[index % len(names)]} {level}{number}{renamed}"


def course_name(roster: Roster, key: int) -> str:
    """Return the name of a course by its key; an update renames it."""
    version = roster.course_table.version(key)
    renamed = f" (rev. {version})" if version else ""
    return roster.courses[(key >> 3) - 1].title + renamed
