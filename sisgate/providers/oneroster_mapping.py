"""From what OneRoster servers send to canonical OneRoster 1.2.

Source: the data models of 1EdTech OneRoster 1.1 and OneRoster Rostering 1.2. The mapping goes by
the shape of a row and not by the version a server claims, because servers mix them. A row that is
canonical already is passed on as it is; fields and `metadata` that the specification does not know
are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sisgate.domain.records import Row
from sisgate.errors import AnswerInvalid
from sisgate.providers.dates import iso_date, utc_text

SOURCED_ID_LIMIT = 255
"""The longest sourcedId the specification allows."""

_USERS = ("users", "students", "teachers")
_SESSIONS = ("academicSessions", "terms", "gradingPeriods")
_RACES = (
    "americanIndianOrAlaskaNative",
    "asian",
    "blackOrAfricanAmerican",
    "nativeHawaiianOrOtherPacificIslander",
    "white",
    "demographicRaceTwoOrMoreRaces",
    "hispanicOrLatinoEthnicity",
)

_BOOLEANS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_USERS, ("enabledUser",)),
    "enrollments": ("primary",),
    "demographics": _RACES,
}
_DATES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_SESSIONS, ("startDate", "endDate")),
    "enrollments": ("beginDate", "endDate"),
    "demographics": ("birthDate",),
}
_LISTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_USERS, ("roles", "orgs", "userIds", "agents", "grades")),
    **dict.fromkeys(_SESSIONS, ("children",)),
    **dict.fromkeys(("orgs", "schools"), ("children",)),
    "courses": ("grades", "subjects", "subjectCodes", "resources"),
    "classes": ("grades", "subjects", "subjectCodes", "terms", "periods", "resources"),
}
_DEFAULT_ROLES = {"students": "student", "teachers": "teacher"}
_ROLES_OF_BOTH_VERSIONS = frozenset(
    ("aide", "guardian", "parent", "proctor", "relative", "student", "teacher")
)
_TRUTH = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def canonical_row(resource: str, original: Any) -> Row:
    """Return a provider's row as a record; `AnswerInvalid` where it is not an object with an id."""
    if not isinstance(original, dict):
        raise AnswerInvalid(f"A row of {resource} is not an object.")
    sourced_id = _sourced_id(resource, original)
    if resource in _USERS:
        original = _without_passwords(original)
    changes: dict[str, Any] = {}
    if original.get("sourcedId") != sourced_id:
        changes["sourcedId"] = sourced_id
    _status_and_time(resource, original, changes)
    _plain_fields(resource, original, changes)
    if resource in _USERS and not original.get("roles"):
        data = _with_roles(resource, {**original, **changes})
        return Row(sourced_id, {**data, **_local_references(data)}, original)
    if resource in _SESSIONS and isinstance(original.get("schoolYear"), int):
        changes["schoolYear"] = str(original["schoolYear"])
    if resource == "demographics":
        _demographics(original, changes)
    changes |= _local_references({**original, **changes})
    return Row(sourced_id, {**original, **changes} if changes else original, original)


def _local_references(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields whose references name a server, without its address.

    The `href` of a reference says where one server keeps a record. The same record read from
    another endpoint, or from a server that moved, would look changed. `original` keeps it.
    """
    return {
        name: _without_href(value)
        for name, value in row.items()
        if type(value) in (dict, list) and value and _has_href(value)
    }


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


def _sourced_id(resource: str, row: Mapping[str, Any]) -> str:
    value = row.get("sourcedId")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 2**63 else None
    if not isinstance(value, str) or not value.strip() or len(value) > SOURCED_ID_LIMIT:
        raise AnswerInvalid(f"A row of {resource} has no usable sourcedId.")
    return value


def _status_and_time(resource: str, row: Mapping[str, Any], changes: dict[str, Any]) -> None:
    status = row.get("status")
    if status is None:
        changes["status"] = "active"
    elif not isinstance(status, str):
        raise AnswerInvalid(f"A row of {resource} has a status that is not text.")
    elif status not in ("active", "tobedeleted"):
        changes["status"] = status.strip().lower() or "active"
    modified = row.get("dateLastModified")
    if isinstance(modified, str) and (moment := utc_text(modified)) != modified:
        changes["dateLastModified"] = moment


def _plain_fields(resource: str, row: Mapping[str, Any], changes: dict[str, Any]) -> None:
    """Put booleans, dates and lists that came in another form into `changes`."""
    for name in _BOOLEANS.get(resource, ()):
        value = row.get(name)
        if isinstance(value, str) and (truth := _TRUTH.get(value.strip().lower())) is not None:
            changes[name] = truth
    for name in _DATES.get(resource, ()):
        value = row.get(name)
        if isinstance(value, str) and (day := iso_date(value)) != value:
            changes[name] = day
    for name in _LISTS.get(resource, ()):
        value = row.get(name)
        if isinstance(value, dict):
            changes[name] = [value]
        elif isinstance(value, str):
            changes[name] = [each.strip() for each in value.split(",") if each.strip()]


def _with_roles(resource: str, user: dict[str, Any]) -> dict[str, Any]:
    """Return a 1.1 user with `roles` and `primaryOrg` in place of `role` and `orgs`.

    The first org is the primary one. Of the roles of 1.1, `administrator` has no single
    counterpart in 1.2 and becomes the extension `ext:administrator`, which 1.2 allows.
    """
    role = user.pop("role", None) or _DEFAULT_ROLES.get(resource)
    orgs = user.pop("orgs", None) or []
    if not isinstance(orgs, list) or not all(isinstance(org, dict) for org in orgs):
        raise AnswerInvalid(f"A row of {resource} has orgs that are not references.")
    if role is not None and not isinstance(role, str):
        raise AnswerInvalid(f"A row of {resource} has a role that is not text.")
    if orgs:
        user.setdefault("primaryOrg", orgs[0])
    known = role if role is None or role in _ROLES_OF_BOTH_VERSIONS else f"ext:{role}"
    user["roles"] = [
        {"roleType": "secondary" if place else "primary", "role": known, "org": org}
        for place, org in enumerate(orgs)
        if known
    ]
    return user


def _demographics(row: Mapping[str, Any], changes: dict[str, Any]) -> None:
    """1.1 servers write `birthdate` as often as `birthDate`, and the sex in any case."""
    if isinstance(sex := row.get("sex"), str) and sex != sex.lower():
        changes["sex"] = sex.lower()
    if "birthDate" not in row and isinstance(born := row.get("birthdate"), str):
        changes["birthDate"] = iso_date(born)
