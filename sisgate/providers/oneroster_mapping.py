"""From what OneRoster servers send to canonical OneRoster 1.2.

Source: the data models of 1EdTech OneRoster 1.1 and OneRoster Rostering 1.2, and the types of the
1.2 REST binding. The mapping goes by the shape of a row and not by the version a server claims,
because servers mix them. Fields and `metadata` that the specification does not know are kept; a
null is left out. A value that cannot be read is left out and noted; it costs no record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sisgate.domain.records import Row
from sisgate.providers.dates import iso_date, utc_text
from sisgate.providers.references import read_references, usable_id
from sisgate.providers.rows import Note, RowUnusable

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
_ROLES_OF_BOTH_VERSIONS = frozenset(
    ("aide", "guardian", "parent", "proctor", "relative", "student", "teacher")
)
_TRUTH = {"true": "true", "false": "false", "1": "true", "0": "false", "yes": "true", "no": "false"}

Read = Callable[[Any], Any]
"""Reads one value: what it says, None for nothing; `ValueError` where it says nothing readable."""


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if type(value) is int and abs(value) < 2**63:
        return str(value)
    raise ValueError


def _word(value: Any) -> str | None:
    return (_text(value) or "").strip() or None


def _lower(value: Any) -> str | None:
    return (_text(value) or "").lower() or None


def _flag(value: Any) -> str | None:
    """The binding's booleans are the texts `true` and `false`."""
    if type(value) is bool:
        return "true" if value else "false"
    said = (_text(value) or "").strip().lower()
    if said and said not in _TRUTH:
        raise ValueError
    return _TRUTH.get(said)


def _date(value: Any) -> str | None:
    return iso_date(_text(value) or "") or None


def _status(value: Any) -> str:
    """`inactive` was a status before 1.1, and is to be read as `tobedeleted`."""
    said = (_text(value) or "").strip().lower() or "active"
    if said == "inactive":
        return "tobedeleted"
    if said not in ("active", "tobedeleted"):
        raise ValueError
    return said


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        value = value.split(",")
    items = value if isinstance(value, list) else [value]
    return [said for each in items if each is not None and (said := (_text(each) or "").strip())]


def _objects(value: Any) -> list[Any]:
    items = value if isinstance(value, list) else [value]
    if not all(each is None or isinstance(each, dict) for each in items):
        raise ValueError
    return [_local(each) for each in items if each]


class _Unread(ValueError):
    """Some of a value could not be read; `held` is the rest."""

    def __init__(self, held: Any) -> None:
        super().__init__()
        self.held = held


def _references(kind: str) -> Read:
    def read(value: Any) -> list[dict[str, str]]:
        found, whole = read_references(kind, value)
        if not whole:
            raise _Unread(found)
        return found

    return read


def _reference(kind: str) -> Read:
    def read(value: Any) -> dict[str, str] | None:
        found, whole = read_references(kind, value)
        if found:
            return found[0]
        if not whole:
            raise ValueError
        return None

    return read


def _roles(value: Any) -> list[dict[str, Any]]:
    """The roles of 1.2. One without a word for the role says nothing."""
    roles, whole = [], True
    for each in value if isinstance(value, list) else [value]:
        held = each if isinstance(each, dict) else {"role": each}
        try:
            role = _word(held["role"]) if held.get("role") is not None else None
            org = _reference("org")(held.get("org"))
        except ValueError:
            whole = False
            continue
        if role is not None:
            kind = held.get("roleType")
            more = {k: v for k, v in held.items() if v is not None and k not in _OF_A_ROLE}
            dates = {k: iso_date(v) for k, v in more.items() if k in _ROLE_DATES and type(v) is str}
            roles.append(
                {"roleType": kind if kind == "secondary" else "primary", "role": role}
                | ({"org": org} if org else {})
                | more
                | dates
            )
    if not whole:
        raise _Unread(roles)
    return roles


_OF_A_ROLE = ("roleType", "role", "org")
_ROLE_DATES = ("beginDate", "endDate")


def _fields(texts: str, **more: Read) -> dict[str, tuple[str, Read]]:
    """Return by name what a field is called in 1.2 and how it is read."""
    table = {name: (name, _text) for name in texts.split()}
    table |= {"status": ("status", _status), "dateLastModified": ("dateLastModified", _moment)}
    return table | {name: (name, read) for name, read in more.items()}


def _moment(value: Any) -> str | None:
    return utc_text(_text(value) or "") or None


def _flat(**names: tuple[str, Read]) -> dict[str, tuple[str, Read]]:
    """References that some servers give as flat ids, by the names of OneRoster's CSV files."""
    return names


_ORG, _ORG_LIST = _reference("org"), _references("org")
_SESSION, _SESSION_LIST = _reference("academicSession"), _references("academicSession")
_RESOURCES = _references("resource")

_OF_USERS = _fields(
    "userMasterIdentifier username givenName familyName middleName preferredFirstName "
    "preferredMiddleName preferredLastName pronouns identifier email sms phone role",
    enabledUser=_flag, roles=_roles, primaryOrg=_ORG, orgs=_ORG_LIST, userIds=_objects,
    agents=_references("user"), grades=_texts, resources=_RESOURCES,
) | _flat(
    orgSourcedIds=("orgs", _ORG_LIST), orgSourcedId=("orgs", _ORG_LIST),
    userOrgs=("orgs", _ORG_LIST), agentSourcedIds=("agents", _references("user")),
    primaryOrgSourcedId=("primaryOrg", _ORG),
)  # fmt: skip
_OF_SESSIONS = _fields(
    "title type schoolYear", startDate=_date, endDate=_date, parent=_SESSION,
    children=_SESSION_LIST,
) | _flat(parentSourcedId=("parent", _SESSION))  # fmt: skip
_OF_ORGS = _fields("name type identifier", parent=_ORG, children=_ORG_LIST) | _flat(
    parentSourcedId=("parent", _ORG)
)
_LISTS: dict[str, Read] = {
    "grades": _texts,
    "subjects": _texts,
    "subjectCodes": _texts,
    "resources": _RESOURCES,
}
_FIELDS: dict[str, dict[str, tuple[str, Read]]] = {
    **dict.fromkeys(_USERS, _OF_USERS),
    **dict.fromkeys(_SESSIONS, _OF_SESSIONS),
    **dict.fromkeys(_ORGS, _OF_ORGS),
    "courses": _fields("title courseCode", schoolYear=_SESSION, org=_ORG, **_LISTS)
    | _flat(orgSourcedId=("org", _ORG), schoolYearSourcedId=("schoolYear", _SESSION)),
    "classes": _fields(
        "title classCode classType location", course=_reference("course"), school=_ORG,
        terms=_SESSION_LIST, periods=_texts, **_LISTS,
    ) | _flat(
        courseSourcedId=("course", _reference("course")), schoolSourcedId=("school", _ORG),
        termSourcedIds=("terms", _SESSION_LIST), termSourcedId=("terms", _SESSION_LIST),
    ),
    "enrollments": _fields(
        "", user=_reference("user"), school=_ORG, role=_word, primary=_flag, beginDate=_date,
        endDate=_date, **{"class": _reference("class")},
    ) | _flat(
        userSourcedId=("user", _reference("user")), schoolSourcedId=("school", _ORG),
        classSourcedId=("class", _reference("class")),
    ),
    "demographics": _fields(
        "countryOfBirthCode stateOfBirthAbbreviation cityOfBirth publicSchoolResidenceStatus",
        birthDate=_date, sex=_lower, **dict.fromkeys(_RACES, _flag),
    ) | {"birthdate": ("birthDate", _date)},
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
    data = _read_fields(_FIELDS[resource], original, note or (lambda field, problem: None))
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
        if name not in fields:
            data[name] = _local(value) if type(value) in (dict, list) else value
            continue
        target, read = fields[name]
        if target != name and original.get(target):
            continue  # given in its own form, too
        try:
            said = read(value)
        except _Unread as rest:
            note(name, "could not be read in full")
            said = rest.held
        except ValueError:
            note(name, "could not be read")
            continue
        if said is not None:
            data[target] = said
    return data


def _local(value: Any) -> Any:
    """Return a value that the specification does not know without addresses of one server."""
    return _without_href(value) if _has_href(value) else value


def _has_href(value: Any) -> bool:
    if type(value) is dict:
        return "href" in value or any(
            type(each) in (dict, list) and _has_href(each) for each in value.values()
        )
    return type(value) is list and any(_has_href(each) for each in value)


def _without_href(value: Any) -> Any:
    if type(value) is dict:
        is_reference = "sourcedId" in value
        return {
            name: _without_href(each)
            for name, each in value.items()
            if name != "href" or not is_reference
        }
    return [_without_href(each) for each in value] if type(value) is list else value


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
        known = role if role in _ROLES_OF_BOTH_VERSIONS else f"ext:{role}"
        primary = {"roleType": "primary", "role": known}
        user["roles"] = [{**primary, "org": org} for org in orgs] or [primary]
