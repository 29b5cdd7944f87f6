"""The types of the OneRoster 1.2 Rostering REST/JSON binding, in our own words.

Source: the data models of 1EdTech OneRoster Rostering 1.2 (`…DType` of its OpenAPI). `problems_of`
tells where a record is not of its type. Fields that the specification does not know may be there.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def _names(words: str) -> list[str]:
    return words.split()


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_ROLES = _names(
    "aide counselor districtAdministrator guardian parent principal proctor relative "
    "siteAdministrator student systemAdministrator teacher"
)


def text(value: Any) -> bool:
    """Whether it is a text."""
    return isinstance(value, str)


def day(value: Any) -> bool:
    """Whether it is a date."""
    return text(value) and bool(_DAY.fullmatch(value))


def moment(value: Any) -> bool:
    """Whether it is a time in UTC."""
    return text(value) and bool(_TIME.fullmatch(value))


def boolean(value: Any) -> bool:
    """Whether it is a boolean of the binding, which is a text."""
    return value in ("true", "false") and text(value)


def word(*known: str) -> Check:
    """Return what checks for a word of a vocabulary, or an extension of it."""
    return lambda value: text(value) and (value in known or value.startswith("ext:"))


def ref(kind: str) -> Check:
    """Return what checks for a reference to a record of a kind."""

    def check(value: Any) -> bool:
        if not isinstance(value, dict) or set(value) != {"href", "sourcedId", "type"}:
            return False
        return all(text(each) and each for each in value.values()) and value["type"] == kind

    return check


def many(check: Check) -> Check:
    """Return what checks for a list."""
    return lambda value: isinstance(value, list) and all(check(each) for each in value)


def user_id(value: Any) -> bool:
    """Whether it is an external id of a user."""
    return isinstance(value, dict) and text(value.get("type")) and text(value.get("identifier"))


def role(value: Any) -> bool:
    """Whether it is a user's role in an org, which may be missing (a 1.1 user without orgs)."""
    return (
        isinstance(value, dict)
        and value.get("roleType") in ("primary", "secondary")
        and word(*_ROLES)(value.get("role"))
        and ("org" not in value or ref("org")(value["org"]))
        and all(day(value[name]) for name in ("beginDate", "endDate") if name in value)
    )


_SESSION = {
    "title!": text, "startDate!": day, "endDate!": day,
    "type!": word("gradingPeriod", "semester", "schoolYear", "term"), "schoolYear!": text,
    "parent": ref("academicSession"), "children": many(ref("academicSession")),
}  # fmt: skip
_ORG = {
    "name!": text, "identifier!": text, "parent": ref("org"), "children": many(ref("org")),
    "type!": word("department", "school", "district", "local", "state", "national"),
}  # fmt: skip
_USER = {
    **dict.fromkeys(_names(
    "userMasterIdentifier username middleName preferredFirstName preferredMiddleName "
    "preferredLastName pronouns identifier email sms phone"
), text),
    "enabledUser!": boolean, "givenName!": text, "familyName!": text, "roles!": many(role),
    "userIds": many(user_id), "primaryOrg": ref("org"), "agents": many(ref("user")),
    "grades": many(text), "resources": many(ref("resource")),
}  # fmt: skip
_TAUGHT = {
    "grades": many(text), "subjects": many(text), "subjectCodes": many(text),
    "resources": many(ref("resource")),
}  # fmt: skip
_RACES = _names(
    "americanIndianOrAlaskaNative asian blackOrAfricanAmerican white "
    "demographicRaceTwoOrMoreRaces nativeHawaiianOrOtherPacificIslander "
    "hispanicOrLatinoEthnicity"
)
TYPES: dict[str, dict[str, Check]] = {
    "orgs": _ORG, "schools": _ORG,
    **dict.fromkeys(("academicSessions", "terms", "gradingPeriods"), _SESSION),
    **dict.fromkeys(("users", "students", "teachers"), _USER),
    "courses": {
        "title!": text, "courseCode!": text, "schoolYear": ref("academicSession"),
        "org": ref("org"), **_TAUGHT,
    },
    "classes": {
        "title!": text, "classCode": text, "classType": word("homeroom", "scheduled"),
        "location": text, "course!": ref("course"), "school!": ref("org"),
        "terms!": many(ref("academicSession")), "periods": many(text), **_TAUGHT,
    },
    "enrollments": {
        "user!": ref("user"), "class!": ref("class"), "school!": ref("org"),
        "role!": word("administrator", "proctor", "student", "teacher"), "primary": boolean,
        "beginDate": day, "endDate": day,
    },
    "demographics": {
        "birthDate": day, "sex": word("male", "female", "unspecified", "other"),
        **dict.fromkeys(_RACES, boolean), "countryOfBirthCode": text,
        "stateOfBirthAbbreviation": text, "cityOfBirth": text,
        "publicSchoolResidenceStatus": text,
    },
}  # fmt: skip
"""By resource what each field holds; `!` behind a name: it is required."""

_ALL: dict[str, Check] = {
    "sourcedId!": text,
    "status!": lambda value: value in ("active", "tobedeleted"),
    "dateLastModified!": moment,
    "metadata": lambda value: isinstance(value, dict),
}

GIVES_NONE: dict[str, set[str]] = {"powerschool": {"dateLastModified"}}
"""Required fields for which a kind has no value, as docs/reference/providers.md tells."""


def problems_of(kind: str, resource: str, data: Mapping[str, Any]) -> list[str]:
    """Return what of a canonical record is not of its type, by field."""
    excused = GIVES_NONE.get(kind, set())
    problems = []
    for name, check in {**_ALL, **TYPES[resource]}.items():
        field = name.rstrip("!")
        if field not in data:
            if name.endswith("!") and field not in excused:
                problems.append(f"{field} is missing")
        elif not check(data[field]):
            problems.append(f"{field} is {data[field]!r}")
    return problems + [f"{field} is null" for field, value in data.items() if value is None]
