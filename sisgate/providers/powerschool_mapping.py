"""From PowerSchool's resources to canonical OneRoster 1.2.

Ids: a record's sourcedId is its table's DCID, which never changes and is unique in its table. The
orgs come from two tables, so they are `district` (a server serves one, and its resource has no id)
and `school-<dcid>`. A teacher is a SCHOOLSTAFF row, one per school a person teaches at: this is
what sections refer to. `userMasterIdentifier` then holds the person's own id.

An enrollment that PowerSchool marks as dropped has the status `tobedeleted`: the provider's own
word that the student is no longer in the class. OneRoster tells who teaches a class by enrollments
with the role teacher; PowerSchool tells it in the section, so it is in the class's
`metadata.primaryTeacher`, for which no further call is spent.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sisgate.domain.records import Row
from sisgate.providers.powerschool_demographics import demographics_of
from sisgate.providers.powerschool_wire import (
    dcid,
    flag,
    integer,
    optional_dcid,
    part,
    parts,
    text,
    truth,
)
from sisgate.providers.values import iso_date, reference

DISTRICT = "district"

_TERM_TYPES = {1: "schoolYear", 2: "semester"}
_NOT_TEACHING = (2, 3)
"""Staff types of an affiliation that are neither teacher nor substitute: staff, lunch staff."""
_AFFILIATION_ENDED = 2

_BY_QUERY_ONLY = ("title", "location", "grades")
"""What a PowerQuery tells of a section and `/ws/v1` does not."""

Fields = dict[str, Any]
Context = Mapping[str, Any]


def record_of(resource: str, row: Mapping[str, Any], context: Context) -> Row | None:
    """Return one row as a record, or None where it is not one of the resource.

    `context` is the listing's: the school or section the list belongs to. `RowUnusable` where
    the row lacks an id.
    """
    fields = _MAPPINGS[resource](row, context)
    if fields is None:
        return None
    data = {name: value for name, value in fields.items() if value is not None}
    data.setdefault("status", "active")
    untold = _BY_QUERY_ONLY if resource == "classes" and context.get("row") == "section" else ()
    return Row(data["sourcedId"], data, row, untold)


def school_ref(school: str) -> dict[str, str]:
    """Return the reference to a school by its DCID."""
    return reference("org", f"school-{school}")


def grade(level: int | None) -> list[str] | None:
    """Return a grade level as OneRoster (CEDS) codes; None where there is none.

    >>> grade(-1), grade(0), grade(9)
    (['PK'], ['KG'], ['09'])
    """
    if level is None:
        return None
    return ["PK" if level < 0 else "KG" if level == 0 else f"{level:02d}"]


def _optional_ref(row: Mapping[str, Any], names: tuple[str, ...], kind: str) -> Fields | None:
    """The reference by the first of `names` that the row has.

    A PowerQuery calls a DCID `…_dcid` and REST calls it `…_id`; where a PowerQuery has an `…_id`
    besides, it is a number that is unique in a school only.
    """
    row_id = next((each for name in names if (each := optional_dcid(row, name))), None)
    return reference(kind, row_id) if row_id else None


def _day(row: Mapping[str, Any], name: str) -> str | None:
    value = text(row, name)
    return iso_date(value) if value else None


def _org(row: Mapping[str, Any], context: Context) -> Fields:
    if context["row"] == "district":
        return {
            "sourcedId": DISTRICT,
            "name": text(row, "name"),
            "type": "district",
            "identifier": text(row, "district_number"),
        }
    return {
        "sourcedId": f"school-{dcid(row)}",
        "name": text(row, "name"),
        "type": "school",
        "identifier": text(row, "school_number"),
        "parent": reference("org", DISTRICT),
    }


def _term(row: Mapping[str, Any], _context: Context) -> Fields:
    """OneRoster names a school year by the calendar year in which it ends."""
    start_year = integer(row, "start_year")
    return {
        "sourcedId": dcid(row),
        "title": text(row, "name"),
        "type": _TERM_TYPES.get(integer(row, "portion") or 0, "term"),
        "startDate": _day(row, "start_date"),
        "endDate": _day(row, "end_date"),
        "schoolYear": str(start_year + 1) if start_year else None,
        "parent": _optional_ref(row, ("parent_id",), "academicSession"),
    }


def _course(row: Mapping[str, Any], _context: Context) -> Fields:
    """A course belongs to the district: every school lists the same row, and it must read alike."""
    return {
        "sourcedId": dcid(row),
        "title": text(row, "course_name"),
        "courseCode": text(row, "course_number"),
        "org": reference("org", DISTRICT),
    }


def _class(row: Mapping[str, Any], context: Context) -> Fields:
    """A section by `/ws/v1` or by the PowerQuery, which knows course, room and grade besides.

    A grade level of 0 is what PowerSchool holds where none was chosen, so it says nothing.
    """
    number = text(row, "section_number")
    school = optional_dcid(row, "school_dcid") or context.get("school") or dcid(row, "school_id")
    term = _optional_ref(row, ("term_dcid", "term_id"), "academicSession")
    teacher = optional_dcid(row, "teacher_id") or optional_dcid(row, "staff_id")
    return {
        "sourcedId": dcid(row),
        "title": text(row, "course_name") or f"Section {number}",
        "classCode": number,
        "classType": "scheduled",
        "location": text(row, "room"),
        "grades": grade(integer(row, "grade_level") or None),
        "course": _optional_ref(row, ("course_dcid", "course_id"), "course"),
        "school": school_ref(school),
        "terms": [term] if term else [],
        "periods": (text(row, "expression") or "").split(),
        "metadata": {"primaryTeacher": teacher} if teacher else None,
    }


def _teacher(row: Mapping[str, Any], context: Context) -> Fields | None:
    school = str(context["school"])
    affiliation = next(
        (
            each
            for each in parts(row, "school_affiliations", "school_affiliation")
            if optional_dcid(each, "school_id") == school
        ),
        {},
    )
    if integer(affiliation, "type") in _NOT_TEACHING:
        return None
    return {
        **_person(row, "teacher", school_ref(school)),
        "username": text(row, "teacher_username") or text(row, "admin_username"),
        "userMasterIdentifier": optional_dcid(row, "users_dcid"),
        "enabledUser": flag(integer(affiliation, "status") != _AFFILIATION_ENDED),
        "email": text(part(row, "emails"), "work_email"),
        "phone": text(part(row, "phones"), "home_phone"),
    }


def _student(row: Mapping[str, Any], _context: Context) -> Fields:
    enrolled = part(row, "school_enrollment")
    school = optional_dcid(enrolled, "school_id")
    fields = _person(row, "student", school_ref(school) if school else None)
    for role in fields["roles"]:
        dates = {"beginDate": _day(enrolled, "entry_date"), "endDate": _day(enrolled, "exit_date")}
        role.update({name: day for name, day in dates.items() if day})
    return {
        **fields,
        "username": text(row, "student_username"),
        "enabledUser": flag((text(enrolled, "enroll_status") or "A") == "A"),
        "email": text(part(row, "contact_info"), "email"),
        "phone": text(part(row, "phones", "main"), "number"),
        "grades": grade(integer(enrolled, "grade_level")),
    }


def _person(row: Mapping[str, Any], role: str, org: Fields | None) -> Fields:
    name = part(row, "name")
    ids = {"localId": text(row, "local_id"), "stateId": text(row, "state_province_id")}
    return {
        "sourcedId": dcid(row),
        "identifier": ids["localId"],
        "userIds": [{"type": kind, "identifier": each} for kind, each in ids.items() if each],
        "givenName": text(name, "first_name"),
        "middleName": text(name, "middle_name"),
        "familyName": text(name, "last_name"),
        "roles": [{"roleType": "primary", "role": role, "org": org}] if org else [],
        "primaryOrg": org,
    }


def _enrollment(row: Mapping[str, Any], context: Context) -> Fields:
    section = optional_dcid(row, "section_id") or context.get("section") or dcid(row, "section_id")
    school = optional_dcid(row, "school_dcid") or context.get("school")
    return {
        "sourcedId": dcid(row),
        "status": "tobedeleted" if truth(row, "dropped") else "active",
        "user": reference("user", dcid(row, "student_id")),
        "class": reference("class", section),
        "school": school_ref(school) if school else None,
        "role": "student",
        "beginDate": _day(row, "entry_date"),
        "endDate": _day(row, "exit_date"),
    }


_MAPPINGS: dict[str, Callable[[Mapping[str, Any], Context], Fields | None]] = {
    "orgs": _org,
    "terms": _term,
    "courses": _course,
    "classes": _class,
    "teachers": _teacher,
    "students": _student,
    "enrollments": _enrollment,
    "demographics": lambda row, _: {"sourcedId": dcid(row), **demographics_of(row)},
}
