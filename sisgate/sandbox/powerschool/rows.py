"""A district's rows in PowerSchool's REST shapes.

Ids are the roster's keys: integers with gaps, as dcids are. A school's REST id is its dcid
(8, 16, …), its `school_number` another number (101, 102, …).
"""

from typing import Any

from sisgate.sandbox.population.roster import (
    SCHOOL_YEAR,
    SEMESTERS,
    YEAR_END,
    YEAR_START,
    Roster,
    Student,
    course_name,
    school_name,
)

Row = dict[str, Any]

STUDENT_EXPANSIONS = (
    "demographics", "addresses", "alerts", "phones", "school_enrollment", "ethnicity_race",
    "contact", "contact_info", "initial_enrollment", "schedule_setup", "fees", "lunch",
)  # fmt: skip
STAFF_EXPANSIONS = ("addresses", "emails", "phones", "school_affiliations")
SECTION_EXPANSIONS = ("term",)
SCHOOL_EXPANSIONS = ("school_boundary", "full_time_equivalencies", "school_fees_setup")
YEAR_ID = SCHOOL_YEAR - 1990
TERMS = (
    ("Year", "YR", YEAR_START, YEAR_END, 1),
    ("Semester 1", "S1", *SEMESTERS[0], 2),
    ("Semester 2", "S2", *SEMESTERS[1], 2),
)


def term_dcid(school_index: int, term: int) -> int:
    """Return the dcid of a school's term; 0 is the year, 1 and 2 its semesters."""
    return (school_index + 1) * 8 + term


class PowerSchoolRows:
    """Makes REST rows of one roster."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._cities = roster.pools.cities

    def school(self, key: int, expansions: frozenset[str]) -> Row:
        """Return a school."""
        index = (key >> 3) - 1
        grades = self._roster.layout.schools[index].level
        low, high = ((0, 5), (6, 8), (9, 12))[grades]
        street = self._roster.pools.streets[index % len(self._roster.pools.streets)]
        return {
            "id": key,
            "name": school_name(self._roster, index, self._roster.schools.version(key)),
            "school_number": 101 + index,
            "low_grade": low,
            "high_grade": high,
            "alternate_school_number": 0,
            "addresses": {"physical": {"street": street, "city": self._cities[0],
                                       "state_province": "CA", "postal_code": "90001"}},
            "phones": {"main": {"number": f"555-01{index % 100:02d}"}},
            "principal": {"name": {"first_name": "Pat", "last_name": "Principal"}},
            **{name: "" for name in SCHOOL_EXPANSIONS if name in expansions},
        }  # fmt: skip

    def student(self, key: int, expansions: frozenset[str]) -> Row:
        """Return a student with the expansions asked for; an empty one is an empty text."""
        student = self._roster.student(key)
        name: Row = {"first_name": student.given, "last_name": student.family}
        if student.middle is not None:
            name["middle_name"] = student.middle
        row: Row = {
            "id": key,
            "local_id": student.number,
            "student_username": f"s{student.number}",
            "name": name,
        }
        for expansion in STUDENT_EXPANSIONS:
            if expansion in expansions:
                make = getattr(self, f"_student_{expansion}", None)
                row[expansion] = "" if make is None else make(student)
        return row

    def _student_demographics(self, student: Student) -> Row:
        return {
            "gender": "FM"[student.sex],
            "birth_date": self._roster.birth_date(student),
            "projected_graduation_year": SCHOOL_YEAR + 13 - student.grade,
        }

    def _student_school_enrollment(self, student: Student) -> Row:
        left = student.number - 1_000_000 in self._roster.students.marked
        return {
            "enroll_status": "T" if left else "A",
            "enroll_status_description": "Transferred Out" if left else "Active",
            "enroll_status_code": 2 if left else 0,
            "grade_level": student.grade,
            "entry_date": YEAR_START,
            "exit_date": YEAR_END,
            "school_number": 101 + student.school.number,
            "school_id": (student.school.number + 1) * 8,
            "full_time_equivalency": {"fteid": 1, "name": "Full Time"},
        }

    def _student_ethnicity_race(self, student: Student) -> Row:
        origin = (student.bits >> 44) % 7
        code = "WWBAIPW"[origin]
        return {
            "federal_ethnicity": "YES" if origin == 1 else "NO",
            "scheduling_reporting_ethnicity": code,
            "races": [{"district_race_code": code, "federal_race_code_category": code}],
        }

    def _student_contact_info(self, student: Student) -> Row:
        return {"email": f"s{student.number}@students.example.org"}

    def _student_contact(self, student: Student) -> Row | str:
        if student.bits >> 58 < 6:
            return ""
        return {
            "guardian_email": f"guardian{student.number}@example.org",
            "emergency_contact_name1": f"{student.family}, {self._given(student, 30)}",
            "emergency_phone1": f"555-{student.bits % 9000 + 1000}",
        }

    def _student_addresses(self, student: Student) -> Row | str:
        if student.bits >> 58 == 7:
            return ""
        streets = self._roster.pools.streets
        place = {
            "street": streets[(student.bits >> 20) % len(streets)],
            "city": self._cities[(student.bits >> 5) % len(self._cities)],
            "state_province": "CA",
            "postal_code": f"{90000 + student.bits % 1000}",
        }
        return {"physical": place, "mailing": place}

    def _student_phones(self, student: Student) -> Row | str:
        if student.bits >> 58 == 8:
            return ""
        return {"main": {"number": f"555-{(student.bits >> 8) % 9000 + 1000}"}}

    def _given(self, student: Student, shift: int) -> str:
        given = self._roster.pools.given[0]
        return given[(student.bits >> shift) % len(given)]

    def staff(self, key: int, expansions: frozenset[str]) -> Row:
        """Return a member of staff."""
        teacher = self._roster.teacher(key)
        username = f"t{teacher.number}"
        row: Row = {
            "id": key,
            "local_id": teacher.number,
            "users_dcid": key,
            "teacher_username": username,
            "name": {"first_name": teacher.given, "last_name": teacher.family},
        }
        full = {
            "emails": {"work_email": f"{username}@staff.example.org"},
            "school_affiliations": {
                "school_affiliation": {
                    "school_id": (teacher.school.number + 1) * 8,
                    "type": 1,
                    "status": 1,
                }
            },
        }
        return row | {name: full.get(name, "") for name in STAFF_EXPANSIONS if name in expansions}

    def section(self, key: int, expansions: frozenset[str]) -> Row:
        """Return a section."""
        section = self._roster.section(key)
        row: Row = {
            "id": key,
            "school_id": (section.school.number + 1) * 8,
            "course_id": (section.course + 1) * 8,
            "term_id": term_dcid(section.school.number, section.term),
            "section_number": str(section.number),
            "expression": f"{section.period}(A)",
            "external_expression": f"{section.period}(A)",
            "staff_id": section.teacher,
        }
        if "term" in expansions:
            row["term"] = self.term(row["term_id"], expansions)
        return row

    def course(self, key: int, expansions: frozenset[str]) -> Row:
        """Return a course."""
        course = self._roster.courses[(key >> 3) - 1]
        name = course_name(self._roster, key)
        return {"id": key, "course_name": name, "course_number": course.code}

    def term(self, dcid: int, expansions: frozenset[str]) -> Row:
        """Return a school's term."""
        number = dcid & 7
        name, short, start, end, portion = TERMS[number]
        return {
            "id": dcid,
            "local_id": YEAR_ID * 100 + number,
            "name": f"{name} {SCHOOL_YEAR}-{SCHOOL_YEAR + 1}",
            "abbreviation": short,
            "start_year": SCHOOL_YEAR,
            "start_date": start,
            "end_date": end,
            "portion": portion,
        }

    def enrollment(self, key: int, expansions: frozenset[str]) -> Row:
        """Return a section enrollment."""
        dropped = is_dropped(self._roster, key)
        return {
            "id": key,
            "section_id": self._roster.class_of(key),
            "student_id": key >> 3,
            "entry_date": YEAR_START,
            "exit_date": SEMESTERS[0][1] if dropped else YEAR_END,
            "dropped": dropped,
        }


def is_dropped(roster: Roster, key: int) -> bool:
    """Return whether an enrollment was dropped: each update drops it or takes it up again."""
    return bool(roster.enrollments.version(key) % 2) or key in roster.enrollments.marked
