"""One person in several rows: a provider gives a teacher of two schools once for each. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sisgate.domain.records import Row


def orgs_of(data: Mapping[str, Any]) -> list[str] | None:
    """Return the ids of the orgs of a person's roles; None where the record has no roles."""
    roles = data.get("roles")
    if not isinstance(roles, list) or not roles:
        return None
    return sorted({org for role in roles if (org := _org(role)) is not None})


def merged(stored: Mapping[str, Any], row: Row) -> Row | None:
    """Return a record with the roles of both, else as `row` has it; None where neither has others.

    Only people have roles. What is said of an org by `row` replaces what was said of it before.
    """
    before, now = orgs_of(stored), orgs_of(row.data)
    if before is None or now is None or set(before) == set(now):
        return None
    kept = [role for role in stored["roles"] if _org(role) not in now]
    roles = sorted([*kept, *row.data["roles"]], key=lambda role: _org(role) or "")
    data = {**row.data, "roles": roles, "agents": _together(stored, row.data)}
    if not data["agents"]:
        del data["agents"]
    if "primaryOrg" in stored:
        data["primaryOrg"] = stored["primaryOrg"]
    return Row(row.sourced_id, data, row.original)


def without_orgs(stored: Mapping[str, Any], orgs: Collection[str]) -> dict[str, Any]:
    """Return a person's data without the roles in some orgs."""
    roles = [role for role in stored["roles"] if _org(role) not in orgs]
    data = {**stored, "roles": roles}
    primary = stored.get("primaryOrg")
    if isinstance(primary, dict) and primary.get("sourcedId") in orgs:
        left = next((role["org"] for role in roles if _org(role)), None)
        data = {k: v for k, v in data.items() if k != "primaryOrg"}
        if left is not None:
            data["primaryOrg"] = left
    return data


def _org(role: Any) -> str | None:
    org = role.get("org") if isinstance(role, dict) else None
    return org.get("sourcedId") if isinstance(org, dict) else None


def _together(*people: Mapping[str, Any]) -> Sequence[Any]:
    found: dict[str, Any] = {}
    for data in people:
        for agent in data.get("agents") or []:
            found.setdefault(str(agent.get("sourcedId")), agent)
    return [found[each] for each in sorted(found)]
