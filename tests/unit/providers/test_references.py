"""A record says the same whichever server it was read from."""

from typing import Any

import pytest

from sisgate.providers.oneroster_mapping import canonical_row


def enrollment(host: str) -> dict[str, Any]:
    """Return an enrollment as a server at `host` gives it."""
    refs = {
        name: {"href": f"{host}/{name}s/1", "sourcedId": "1", "type": name}
        for name in ("user", "class", "school")
    }
    return {"sourcedId": "e1", "status": "active", "role": "student", **refs}


def user(host: str) -> dict[str, Any]:
    """Return a 1.2 user, whose references are deeper."""
    org = {"href": f"{host}/orgs/1", "sourcedId": "1", "type": "org"}
    roles = [{"roleType": "primary", "role": "student", "org": org}]
    return {"sourcedId": "u1", "status": "active", "roles": roles, "primaryOrg": org}


@pytest.mark.parametrize(("resource", "row"), [("enrollments", enrollment), ("students", user)])
def test_another_host_is_no_change(resource: str, row: Any) -> None:
    """A second endpoint or a moved server must not make every record an update."""
    here = canonical_row(resource, row("https://a.example"))
    there = canonical_row(resource, row("https://b.example"))
    assert here.content_hash == there.content_hash
    assert "a.example" not in here.data_json
    assert '"sourcedId":"1"' in here.data_json


def test_the_original_keeps_what_was_sent() -> None:
    """Nothing is taken from it, and a link that is no reference stays in the record."""
    sent = {**enrollment("https://a.example"), "metadata": {"href": "https://help.example"}}
    row = canonical_row("enrollments", sent)
    assert row.original == sent
    assert row.data["metadata"] == {"href": "https://help.example"}
