"""Reading the values of a OneRoster server's rows: whatever form they come in, one goes out."""

from collections.abc import Callable
from typing import Any

from sisgate.providers.values import iso_date, read_references, reference, usable_id, utc_text

_TRUTH = {"true": "true", "false": "false", "1": "true", "0": "false", "yes": "true", "no": "false"}

Read = Callable[[Any], Any]
"""Reads one value: what it says, None for nothing; `ValueError` where it says nothing readable."""


def text(value: Any) -> str | None:
    """Return a text; numbers are written out."""
    if type(value) is str:
        return value
    if type(value) is int and abs(value) < 2**63:
        return str(value)
    raise ValueError


def word(value: Any) -> str | None:
    """Return a text without outer blanks; None for an empty one."""
    content = value if type(value) is str else text(value) or ""
    return content.strip() or None


def word_of(known: str, **others: str) -> Read:
    """Return what reads a word of a vocabulary, in upper or lower case.

    `others` are words that servers use for one of it. What is none becomes an extension of the
    vocabulary, as 1.2 has them.

    >>> read = word_of("student siteAdministrator", pupil="student")
    >>> read("STUDENT"), read(" siteadministrator "), read("Pupil"), read("Coach"), read("ext:x")
    ('student', 'siteAdministrator', 'student', 'ext:Coach', 'ext:x')
    """
    words = frozenset(known.split())
    table = {each.lower(): each for each in words} | others

    def read(value: Any) -> str | None:
        if type(value) is str and value in words:
            return value
        content = word(value)
        if content is None or content.startswith("ext:"):
            return content
        return table.get(content.lower(), f"ext:{content}")

    return read


role_word = word_of(
    "aide counselor districtAdministrator guardian parent principal proctor relative "
    "siteAdministrator student systemAdministrator teacher"
)


def flag(value: Any) -> str | None:
    """Return a boolean as the REST binding has it: the text `true` or `false`."""
    if type(value) is bool:
        return "true" if value else "false"
    content = (text(value) or "").strip().lower()
    if content and content not in _TRUTH:
        raise ValueError
    return _TRUTH.get(content)


def date(value: Any) -> str | None:
    """Return a day as `YYYY-MM-DD` where it is unambiguous."""
    return iso_date(text(value) or "") or None


def status(value: Any) -> str:
    """Return the status. `inactive`, of before 1.1, is to be read as `tobedeleted`."""
    if value == "active":
        return "active"
    content = (text(value) or "").strip().lower() or "active"
    if content == "inactive":
        return "tobedeleted"
    if content not in ("active", "tobedeleted"):
        raise ValueError
    return content


def texts(value: Any) -> list[str]:
    """Return a list of texts, given as such, as one text with commas, or as a single value."""
    if isinstance(value, str):
        value = value.split(",")
    items = value if isinstance(value, list) else [value]
    return [content for each in items if each is not None and (content := word(each))]


def objects(value: Any) -> list[Any]:
    """Return a list of objects without nulls, also in them, and without addresses of one server."""
    held = []
    for each in value if type(value) is list else [value]:
        if each is None:
            continue
        if type(each) is not dict:
            raise ValueError
        if filled := {k: v for k, v in each.items() if v is not None}:
            held.append(without_addresses(filled))
    return held


class PartlyUnread(ValueError):
    """Some of a value could not be read; `held` is the rest."""

    def __init__(self, held: Any) -> None:
        super().__init__()
        self.held = held


def references(kind: str) -> Read:
    """Return what reads a list of references to records of a kind."""

    def read(value: Any) -> list[dict[str, str]]:
        if type(value) is list and not value:
            return []
        refs, whole = read_references(kind, value)
        if not whole:
            raise PartlyUnread(refs)
        return refs

    return read


def reference_to(kind: str) -> Read:
    """Return what reads one reference; of several the first."""

    def read(value: Any) -> dict[str, str] | None:
        # Nearly all references are such objects, and there are thousands on a page.
        if type(value) is dict and type(held := value.get("sourcedId")) is str and usable_id(held):
            return reference(kind, held)
        refs, whole = read_references(kind, value)
        if refs:
            return refs[0]
        if not whole:
            raise ValueError
        return None

    return read


_read_org = reference_to("org")


def roles(value: Any) -> list[dict[str, Any]]:
    """Return the roles of 1.2. One without a word for the role says nothing."""
    roles, whole = [], True
    for each in value if isinstance(value, list) else [value]:
        held = each if isinstance(each, dict) else {"role": each}
        try:
            role = role_word(held["role"]) if held.get("role") is not None else None
            org = _read_org(held.get("org"))
        except ValueError:
            whole = False
            continue
        if role is not None:
            kind = str(held.get("roleType")).lower()
            read = {"roleType": kind if kind == "secondary" else "primary", "role": role}
            if org:
                read["org"] = org
            for name, each_value in held.items():
                if each_value is None or name in _OF_A_ROLE:
                    continue
                is_date = name in _ROLE_DATES and type(each_value) is str
                read[name] = iso_date(each_value) if is_date else each_value
            roles.append(read)
    if not whole:
        raise PartlyUnread(roles)
    return roles


_OF_A_ROLE = ("roleType", "role", "org")
_ROLE_DATES = ("beginDate", "endDate")


def moment(value: Any) -> str | None:
    """Return a time in UTC."""
    content = word(value)
    return utc_text(content) if content is not None else None


def without_addresses(value: Any) -> Any:
    """Return a value that the specification does not know without addresses of one server."""
    is_nested = type(value) in (dict, list)
    return _without_href(value) if is_nested and _has_href(value) else value


def _has_href(value: Any) -> bool:
    inner = value
    if type(value) is dict:
        if "href" in value:
            return True
        inner = value.values()
    return any(_has_href(each) for each in inner if type(each) in (dict, list))


def _without_href(value: Any) -> Any:
    if type(value) is dict:
        is_reference = "sourcedId" in value
        return {
            name: _without_href(each)
            for name, each in value.items()
            if name != "href" or not is_reference
        }
    return [_without_href(each) for each in value] if type(value) is list else value
