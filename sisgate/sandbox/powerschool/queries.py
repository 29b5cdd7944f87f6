"""The PowerQueries of sisgate's plugin, as a PowerSchool server with the plugin answers them.

`POST /ws/schema/query/{name}?page&pagesize` answers
`{"name", "count"?, "record": […]}`. Every value is a text, and a column that is NULL is left out
of its record.

org.sisgate.roster.sections
    ===============  =================================================================
    id, dcid         section id as in `/ws/v1/school/{id}/section` (both the same)
    section_number   number within the school
    course_dcid      course id as in `/ws/v1/school/{id}/course`
    course_number    code of the course, as `course_number` of `/ws/v1/school/{id}/course`
    course_name      title of the course
    school_id        school **number** (`school_number` of a school, not its id)
    school_dcid      school id as in `/ws/v1/district/school`
    teacher_id       staff id as in `/ws/v1/school/{id}/staff`
    term_id          term number such as 3600 (`local_id` of `/ws/v1/school/{id}/term`)
    term_dcid        term id as in `/ws/v1/school/{id}/term`
    room             NULL for some
    expression       periods and days, such as `3(A)`
    grade_level      0 is kindergarten
    ===============  =================================================================

org.sisgate.roster.enrollments
    ===============  =================================================================
    id               as in `/ws/v1/section/{id}/section_enrollment`
    student_id       student id (dcid) as in `/ws/v1/district/student`
    section_id       section id
    school_dcid      school id as in `/ws/v1/district/school`
    entry_date       `YYYY-MM-DD`
    exit_date        `YYYY-MM-DD`, the end of the year unless dropped
    dropped          `true` or `false`
    ===============  =================================================================
"""

from collections.abc import Callable

from sisgate.sandbox.population.keys import Table
from sisgate.sandbox.population.roster import SEMESTERS, YEAR_END, YEAR_START, Roster, course_name
from sisgate.sandbox.powerschool.rows import YEAR_ID, is_dropped, term_dcid

SECTIONS = "org.sisgate.roster.sections"
ENROLLMENTS = "org.sisgate.roster.enrollments"
MAX_PAGE_SIZE = 5000

Record = dict[str, str]


class PowerQueries:
    """The named queries of one roster."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self.tables: dict[str, tuple[Table, Callable[[int], Record]]] = {
            SECTIONS: (roster.classes, self.section),
            ENROLLMENTS: (roster.enrollments, self.enrollment),
        }

    def section(self, key: int) -> Record:
        """Return one record of `org.sisgate.roster.sections`."""
        section = self._roster.section(key)
        course = self._roster.courses[section.course]
        school = section.school.number
        record = {
            "id": str(key),
            "dcid": str(key),
            "section_number": str(section.number),
            "course_dcid": str((section.course + 1) * 8),
            "course_number": course.code,
            "course_name": course_name(self._roster, (section.course + 1) * 8),
            "school_id": str(101 + school),
            "school_dcid": str((school + 1) * 8),
            "teacher_id": str(section.teacher),
            "term_id": str(YEAR_ID * 100 + section.term),
            "term_dcid": str(term_dcid(school, section.term)),
            "expression": f"{section.period}(A)",
            "grade_level": str(section.grade),
        }
        if section.room % 10:
            record["room"] = str(section.room)
        return record

    def enrollment(self, key: int) -> Record:
        """Return one record of `org.sisgate.roster.enrollments`."""
        dropped = is_dropped(self._roster, key)
        school = self._roster.layout.place((key >> 6) - 1)[0].number
        return {
            "id": str(key),
            "student_id": str(key >> 3),
            "section_id": str(self._roster.class_of(key)),
            "school_dcid": str((school + 1) * 8),
            "entry_date": YEAR_START,
            "dropped": "true" if dropped else "false",
            "exit_date": SEMESTERS[0][1] if dropped else YEAR_END,
        }
