"""A district's rows in OneRoster's shapes: 1.1 (`role`, `orgs`, text booleans) and 1.2."""

from collections.abc import Callable
from typing import Any

from sisgate.sandbox.population.keys import Table
from sisgate.sandbox.population.layout import draw, salt_of
from sisgate.sandbox.population.roster import (
    SCHOOL_YEAR,
    SEMESTERS,
    YEAR_END,
    YEAR_START,
    Roster,
    course_name,
    school_name,
)

Row = dict[str, Any]

_PREFIXES = {
    "district": 1, "schools": 2, "years": 3, "terms": 4, "grading_periods": 5, "courses": 6,
    "students": 7, "teachers": 8, "classes": 9, "enrollments": 10, "teaching": 11,
}  # fmt: skip
_PERIODS = (
    (SEMESTERS[0][0], f"{SCHOOL_YEAR}-10-16"),
    (f"{SCHOOL_YEAR}-10-19", SEMESTERS[0][1]),
    (SEMESTERS[1][0], f"{SCHOOL_YEAR + 1}-03-12"),
    (f"{SCHOOL_YEAR + 1}-03-15", SEMESTERS[1][1]),
)


class SourcedIds:
    """Turns keys into sourcedIds and back. The order of the ids is the order of the keys."""

    def __init__(self, seed: int, version: str) -> None:
        # A district that moves from 1.1 to 1.2 gets other sourcedIds, so the version is in them.
        bits = draw(salt_of(seed, "guid"), len(version) + int(version[-1]))
        self._tail = (
            f"-{bits & 0xFFFF:04x}-4{bits >> 16 & 0xFFF:03x}-a{bits >> 28 & 0xFFF:03x}"
            f"-{draw(bits, 1) >> 16:012x}"
        )

    def of(self, table: str, key: int) -> str:
        """Return the sourcedId of a row."""
        return "%x%07x%s" % (_PREFIXES[table], key, self._tail)  # noqa: UP031 - the fastest form

    def maker(self, table: str) -> Callable[[int], str]:
        """Return `of` for one table, for the rows that are made by the million."""
        form = f"{_PREFIXES[table]:x}%07x{self._tail}"
        return lambda key: form % key

    def key(self, table: str, sourced_id: str) -> int | None:
        """Return the key in a sourcedId; None when it is not one of the table."""
        try:
            key = int(sourced_id[1:8], 16)
        except ValueError:
            return None
        return key if self.of(table, key) == sourced_id else None


class OneRosterRows:
    """Makes rows of one roster. `base_url` is where its resources are, for `href`."""

    def __init__(self, roster: Roster, base_url: str, version: str) -> None:
        self._roster = roster
        self._base = base_url
        self._modern = version == "1.2"
        self.ids = SourcedIds(roster.seed, version)
        self._user_id = self.ids.maker("students")
        self._teacher_id = self.ids.maker("teachers")
        self._class_id = self.ids.maker("classes")
        self._enrollment_id = self.ids.maker("enrollments")
        self._schools = [
            self._ref("org", "orgs", "schools", key) for key in roster.schools.between(0, 1 << 30)
        ]
        self._district = self._ref("org", "orgs", "district", 8)
        self._years = self._ref("academicSession", "academicSessions", "years", 8)
        self._terms = [
            self._ref("academicSession", "academicSessions", "terms", key) for key in (8, 16)
        ]
        self._grades = [["KG"]] + [[f"{grade:02d}"] for grade in range(1, 13)]

    def _ref(self, kind: str, resource: str, table: str, key: int) -> Row:
        sourced_id = self.ids.of(table, key)
        return {"href": f"{self._base}/{resource}/{sourced_id}", "sourcedId": sourced_id,
                "type": kind}  # fmt: skip

    def _start(self, table: Table, key: int, sourced_id: str) -> Row:
        status = "active"
        if table.marked and key in table.marked:
            status = "tobedeleted"
        modified = self._roster.modified(table, key)
        return {"sourcedId": sourced_id, "status": status, "dateLastModified": modified}

    def _flag(self, value: bool) -> bool | str:
        if self._modern:
            return value
        return "true" if value else "false"

    def district(self, key: int) -> Row:
        """Return the district as an org."""
        row = self._start(self._roster.districts, key, self.ids.of("district", key))
        city = self._roster.pools.cities[0]
        return {**row, "name": f"{city} Unified School District", "type": "district",
                "identifier": "0100", "parent": None, "children": self._schools}  # fmt: skip

    def school(self, key: int) -> Row:
        """Return a school as an org."""
        roster = self._roster
        row = self._start(roster.schools, key, self.ids.of("schools", key))
        return {**row, "name": school_name(roster, (key >> 3) - 1, roster.schools.version(key)),
                "type": "school", "identifier": str(100 + (key >> 3)),
                "parent": self._district, "children": []}  # fmt: skip

    def year(self, key: int) -> Row:
        """Return the school year."""
        row = self._start(self._roster.years, key, self.ids.of("years", key))
        return {**row, "title": f"{SCHOOL_YEAR}-{SCHOOL_YEAR + 1}", "type": "schoolYear",
                "startDate": YEAR_START, "endDate": YEAR_END, "parent": None,
                "children": self._terms, "schoolYear": str(SCHOOL_YEAR + 1)}  # fmt: skip

    def term(self, key: int) -> Row:
        """Return a semester."""
        row = self._start(self._roster.terms, key, self.ids.of("terms", key))
        start, end = SEMESTERS[(key >> 3) - 1]
        return {**row, "title": f"Semester {key >> 3}", "type": "semester", "startDate": start,
                "endDate": end, "parent": self._years, "children": [],
                "schoolYear": str(SCHOOL_YEAR + 1)}  # fmt: skip

    def grading_period(self, key: int) -> Row:
        """Return a grading period."""
        table = self._roster.grading_periods
        row = self._start(table, key, self.ids.of("grading_periods", key))
        number = (key >> 3) - 1
        start, end = _PERIODS[number]
        return {**row, "title": f"Quarter {number + 1}", "type": "gradingPeriod",
                "startDate": start, "endDate": end, "parent": self._terms[number // 2],
                "children": [], "schoolYear": str(SCHOOL_YEAR + 1)}  # fmt: skip

    def course(self, key: int) -> Row:
        """Return a course."""
        table = self._roster.course_table
        row = self._start(table, key, self.ids.of("courses", key))
        course = self._roster.courses[(key >> 3) - 1]
        return {**row, "title": course_name(self._roster, key), "schoolYear": self._years,
                "courseCode": course.code,
                "grades": self._grades[course.grade], "subjects": [course.subject],
                "subjectCodes": [], "org": self._district}  # fmt: skip

    def section(self, key: int) -> Row:
        """Return a class."""
        row = self._start(self._roster.classes, key, self._class_id(key))
        section = self._roster.section(key)
        course = self._roster.courses[section.course]
        terms = [self._years if section.term == 0 else self._terms[section.term - 1]]
        return {**row, "title": f"{course.title} - {section.number:03d}",
                "classCode": f"{course.code}-{section.number:03d}", "classType": "scheduled",
                "location": f"Room {section.room}", "grades": self._grades[section.grade],
                "subjects": [course.subject], "subjectCodes": [],
                "periods": [str(section.period)],
                "course": self._ref("course", "courses", "courses", (section.course + 1) * 8),
                "school": self._schools[section.school.number], "terms": terms}  # fmt: skip

    def student(self, key: int) -> Row:
        """Return a student as a user."""
        row = self._start(self._roster.students, key, self._user_id(key))
        student = self._roster.student(key)
        number = student.number
        row["username"] = username = f"s{number}"
        row["userIds"] = [{"type": "studentNumber", "identifier": str(number)}]
        row["enabledUser"] = self._flag(True)
        row["givenName"], row["familyName"] = student.given, student.family
        row["middleName"] = student.middle
        row["identifier"] = str(number)
        row["email"] = f"{username}@students.example.org"
        row["sms"] = row["phone"] = None
        row["agents"] = []
        row["grades"] = self._grades[student.grade]
        self._affiliate(row, "student", student.school.number)
        return row

    def teacher(self, key: int) -> Row:
        """Return a teacher as a user."""
        row = self._start(self._roster.teachers, key, self._teacher_id(key))
        teacher = self._roster.teacher(key)
        row |= {"username": f"t{teacher.number}",
                "userIds": [{"type": "staffNumber", "identifier": str(teacher.number)}],
                "enabledUser": self._flag(True), "givenName": teacher.given,
                "familyName": teacher.family, "middleName": None,
                "identifier": str(teacher.number),
                "email": f"t{teacher.number}@staff.example.org", "sms": None, "phone": None,
                "agents": [], "grades": []}  # fmt: skip
        self._affiliate(row, "teacher", teacher.school.number)
        return row

    def _affiliate(self, row: Row, role: str, school: int) -> None:
        org = self._schools[school]
        if self._modern:
            row["roles"] = [{"roleType": "primary", "role": role, "org": org}]
            row["primaryOrg"] = org
        else:
            row["role"] = role
            row["orgs"] = [org]

    def demographics(self, key: int) -> Row:
        """Return a student's demographics, under the student's sourcedId."""
        row = self._start(self._roster.students, key, self._user_id(key))
        student = self._roster.student(key)
        origin = (student.bits >> 44) % 7
        names = ("white", "hispanicOrLatinoEthnicity", "blackOrAfricanAmerican", "asian",
                 "demographicRaceTwoOrMoreRaces", "americanIndianOrAlaskaNative",
                 "nativeHawaiianOrOtherPacificIslander")  # fmt: skip
        flags = {name: self._flag(number == origin) for number, name in enumerate(names)}
        return {**row, "birthDate": self._roster.birth_date(student),
                "sex": ("female", "male")[student.sex], **flags}  # fmt: skip

    def enrollment(self, key: int) -> Row:
        """Return a student's enrollment in a class."""
        roster = self._roster
        row = self._start(roster.enrollments, key, self._enrollment_id(key))
        school = roster.layout.place((key >> 6) - 1)[0].number
        self._enroll(row, self._user_id(key >> 3), roster.class_of(key), school, "student")
        if roster.enrollments.touched and roster.enrollments.version(key) % 2:
            row["beginDate"] = SEMESTERS[1][0]
        return row

    def teaching(self, key: int) -> Row:
        """Return the enrollment of a class's teacher; it lives and dies with the class."""
        row = self._start(self._roster.classes, key, self.ids.of("teaching", key))
        section = self._roster.section(key)
        self._enroll(row, self._teacher_id(section.teacher), key, section.school.number, "teacher")
        row["primary"] = self._flag(True)
        return row

    def _enroll(self, row: Row, user: str, section: int, school: int, role: str) -> None:
        base, class_id = self._base, self._class_id(section)
        row["role"] = role
        row["primary"] = self._flag(False)
        row["beginDate"], row["endDate"] = YEAR_START, YEAR_END
        row["user"] = {"href": f"{base}/users/{user}", "sourcedId": user, "type": "user"}
        row["class"] = {"href": f"{base}/classes/{class_id}", "sourcedId": class_id,
                        "type": "class"}  # fmt: skip
        row["school"] = self._schools[school]
