"""From what OneRoster servers send to canonical OneRoster 1.2.

Source: the data models of 1EdTech OneRoster 1.1 and OneRoster Rostering 1.2, and the types of the
1.2 REST binding. The mapping goes by the shape of a row and not by the version a server claims,
because servers mix them. Fields and `metadata` that the specification does not know are kept; a
null is left out. A value that cannot be read is left out and noted; it costs no record.
"""

from collections.abc import Mapping
from typing import Any

from sisgate.domain.records import Row
from sisgate.providers.oneroster_values import (
    PartlyUnread,
    Read,
    date,
    flag,
    moment,
    objects,
    reference_to,
    references,
    role_word,
    roles,
    status,
    text,
    texts,
    without_addresses,
    word_of,
)
from sisgate.providers.paging import Note, RowUnusable
from sisgate.providers.values import usable_id

_USERS = ("users", "students", "teachers")
_SESSIONS = ("academicSessions", "terms", "gradingPeriods")
_ORGS = ("orgs", "schools")
_RACES = (
    "americanIndianOrAlaskaNative",
    "asian",
    "blackOrAfricanAmerican",
    "nativeHawaiianOrOtherPacificIslander",
    "white",
    "demographicRaceTwoOrMoreRaces",
    "hispanicOrLatinoEthnicity",
)
_DEFAULT_ROLES = {"students": "student", "teachers": "teacher"}


def _fields(texts: str, **more: Read) -> dict[str, tuple[str, Read]]:
    """Return by name what a field is called in 1.2 and how it is read."""
    table = {name: (name, text) for name in texts.split()}
    table |= {"status": ("status", status), "dateLastModified": ("dateLastModified", moment)}
    return table | {name: (name, read) for name, read in more.items()}


def _flat(**names: tuple[str, Read]) -> dict[str, tuple[str, Read]]:
    """References that some servers give as flat ids, by the names of OneRoster's CSV files."""
    return names


_ORG, _ORG_LIST = reference_to("org"), references("org")
_SESSION, _SESSION_LIST = reference_to("academicSession"), references("academicSession")
_RESOURCES = references("resource")

_OF_USERS = _fields(
    "userMasterIdentifier username givenName familyName middleName preferredFirstName "
    "preferredMiddleName preferredLastName pronouns identifier email sms phone role",
    enabledUser=flag, roles=roles, primaryOrg=_ORG, orgs=_ORG_LIST, userIds=objects,
    userProfiles=objects, agents=references("user"), grades=texts, resources=_RESOURCES,
) | _flat(
    orgSourcedIds=("orgs", _ORG_LIST), orgSourcedId=("orgs", _ORG_LIST),
    userOrgs=("orgs", _ORG_LIST), agentSourcedIds=("agents", references("user")),
    primaryOrgSourcedId=("primaryOrg", _ORG),
)  # fmt: skip
_OF_SESSIONS = _fields(
    "title schoolYear", type=word_of("gradingPeriod semester schoolYear term"), startDate=date,
    endDate=date, parent=_SESSION, children=_SESSION_LIST,
) | _flat(parentSourcedId=("parent", _SESSION))  # fmt: skip
_OF_ORGS = _fields(
    "name identifier", type=word_of("department school district local state national"),
    parent=_ORG, children=_ORG_LIST,
) | _flat(parentSourcedId=("parent", _ORG))  # fmt: skip
_LISTS: dict[str, Read] = {
    "grades": texts,
    "subjects": texts,
    "subjectCodes": texts,
    "resources": _RESOURCES,
}
_FIELDS: dict[str, dict[str, tuple[str, Read]]] = {
    **dict.fromkeys(_USERS, _OF_USERS),
    **dict.fromkeys(_SESSIONS, _OF_SESSIONS),
    **dict.fromkeys(_ORGS, _OF_ORGS),
    "courses": _fields("title courseCode", schoolYear=_SESSION, org=_ORG, **_LISTS)
    | _flat(orgSourcedId=("org", _ORG), schoolYearSourcedId=("schoolYear", _SESSION)),
    "classes": _fields(
        "title classCode location", classType=word_of("homeroom scheduled"),
        course=reference_to("course"), school=_ORG, terms=_SESSION_LIST, periods=texts, **_LISTS,
    ) | _flat(
        courseSourcedId=("course", reference_to("course")), schoolSourcedId=("school", _ORG),
        termSourcedIds=("terms", _SESSION_LIST), termSourcedId=("terms", _SESSION_LIST),
    ),
    "enrollments": _fields(
        "", user=reference_to("user"), school=_ORG, primary=flag, beginDate=date, endDate=date,
        role=word_of("administrator proctor student teacher"), **{"class": reference_to("class")},
    ) | _flat(
        userSourcedId=("user", reference_to("user")), schoolSourcedId=("school", _ORG),
        classSourcedId=("class", reference_to("class")),
    ),
    "demographics": _fields(
        "countryOfBirthCode stateOfBirthAbbreviation cityOfBirth publicSchoolResidenceStatus",
        birthDate=date, sex=word_of("male female unspecified other", m="male", f="female"),
        **dict.fromkeys(_RACES, flag),
    ) | {"birthdate": ("birthDate", date)},
}  # fmt: skip


def canonical_row(resource: str, original: Any, note: Note | None = None) -> Row:
    """Return a provider's row as a record; `RowUnusable` where it is not an object with an id.

    `note` hears of every field whose value could not be read.
    """
    if not isinstance(original, dict):
        raise RowUnusable(None, "is not an object")
    sourced_id = usable_id(original.get("sourcedId"))
    if sourced_id is None:
        raise RowUnusable("sourcedId", "is missing or unusable")
    if resource in _USERS:
        original = _without_passwords(original)
    data = _read_fields(_FIELDS[resource], original, note or (lambda _field, _problem: None))
    data["sourcedId"] = sourced_id
    data.setdefault("status", "active")
    if resource in _USERS:
        _give_roles(resource, data)
    return Row(sourced_id, original if data == original else data, original)


def _read_fields(
    fields: Mapping[str, tuple[str, Read]], original: Mapping[str, Any], note: Note
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, value in original.items():
        if value is None:
            continue
        field = fields.get(name)
        if field is None:
            data[name] = without_addresses(value) if type(value) in (dict, list) else value
            continue
        target, read = field
        if read is text and type(value) is str:
            data[name] = value
            continue
        if target != name and original.get(target):
            continue  # given in its own form, too
        try:
            parsed = read(value)
        except PartlyUnread as rest:
            note(name, "could not be read in full")
            parsed = rest.held
        except ValueError:
            note(name, "could not be read")
            continue
        if parsed is not None:
            data[target] = parsed
    return data


def _without_passwords(user: dict[str, Any]) -> dict[str, Any]:
    """Return a user without passwords: 1.1 has one, 1.2 one in each of a profile's credentials.

    Nobody reads a roster for them, so they are stored neither in the record nor in its original.
    """
    if "password" in user:
        user = {name: value for name, value in user.items() if name != "password"}
    profiles = user.get("userProfiles")
    if not profiles:
        return user
    return {**user, "userProfiles": _stripped(profiles)}


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _stripped(each) for name, each in value.items() if name != "password"}
    return [_stripped(each) for each in value] if isinstance(value, list) else value


def _give_roles(resource: str, user: dict[str, Any]) -> None:
    """Give a user of 1.1 `roles` and `primaryOrg` in place of `role` and `orgs`.

    1.2 wants one primary role for each org. The first org is the primary one. A user without orgs
    keeps the role, without an org. Of the roles of 1.1, `administrator` has no single counterpart
    in 1.2 and becomes the extension `ext:administrator`, which 1.2 allows.
    """
    role = (user.pop("role", None) or "").strip() or _DEFAULT_ROLES.get(resource)
    orgs = user.pop("orgs", None) or []
    if user.get("roles"):
        return
    if orgs:
        user.setdefault("primaryOrg", orgs[0])
    elif "primaryOrg" in user:
        orgs = [user["primaryOrg"]]
    user["roles"] = []
    if role:
        primary = {"roleType": "primary", "role": role_word(role)}
        user["roles"] = [{**primary, "org": org} for org in orgs] or [primary]
