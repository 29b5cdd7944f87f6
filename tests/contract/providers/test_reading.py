"""Every kind: from a resource to a request, from an answer to canonical records."""

import json
from dataclasses import replace
from typing import Any

import pytest

from sisgate.domain.rates import Rate
from sisgate.domain.records import ROSTER
from sisgate.errors import UnknownResource
from sisgate.providers.dialect import PAGE_HEADERS, Listing, Position
from sisgate.providers.http import HttpResponse
from tests.contract.providers.binding import problems_of
from tests.contract.providers.variants import BY_NAME, VARIANTS, Variant, data_of, pages_of, rows_of

variants = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
resources = pytest.mark.parametrize("resource", ROSTER)

FIELDS = {
    "orgs": {"name", "type", "identifier"},
    "terms": {"title", "type", "startDate", "endDate", "schoolYear"},
    "courses": {"title", "courseCode", "org"},
    "classes": {"title", "classCode", "classType", "course", "school", "terms", "periods"},
    "teachers": {"enabledUser", "givenName", "familyName", "roles", "primaryOrg"},
    "students": {"enabledUser", "givenName", "familyName", "roles", "primaryOrg", "grades"},
    "enrollments": {"user", "class", "school", "role"},
    "demographics": set(),
}
"""What a canonical record of each resource holds in all variants."""


@variants
def test_a_kind_offers_the_whole_roster_and_its_defaults_are_usable(variant: Variant) -> None:
    """Resources, limit, auth and probe are there before anything is configured."""
    dialect = variant.dialect
    assert set(ROSTER) <= set(dialect.resources)
    assert Rate.parse(dialect.default_limit).calls >= 500
    assert dialect.default_auth == "oauth2-basic"
    assert dialect.probe_request().path.startswith("/")
    with pytest.raises(UnknownResource):
        dialect.plan("spaceships", since=None)


@variants
@resources
def test_a_listing_survives_the_ledger(variant: Variant, resource: str) -> None:
    """What is stored as JSON asks for the same page when it is read back."""
    listings = [listing for listing, _, _ in pages_of(variant, resource)]
    assert len({listing.name for listing in listings}) == len(listings)
    for listing in listings:
        stored = json.loads(json.dumps(listing.to_json()))
        again = Listing.from_json(stored)
        position = Position(start=7, page=2, size=5)
        ask = variant.dialect.page_request
        assert ask(again, position) == ask(listing, position)
        assert again.path.startswith("/")


@variants
@resources
def test_records_are_canonical(variant: Variant, resource: str) -> None:
    """Each record has an id, a status, what its resource must have, and can be hashed."""
    rows = rows_of(variant, resource)
    assert rows
    for row in rows:
        assert row.data["sourcedId"] == row.sourced_id
        assert row.data["status"] in ("active", "tobedeleted")
        assert row.data.keys() >= FIELDS[resource]
        assert len(row.content_hash) == 32
        assert "role" not in row.data or resource == "enrollments"
    for row in rows if resource in ("teachers", "students") else []:
        assert row.data["enabledUser"] == "true"
        (role,) = row.data["roles"]
        assert role["roleType"] == "primary"
        assert role["role"] == resource.removesuffix("s")
        assert role["org"]["sourcedId"] == row.data["primaryOrg"]["sourcedId"]


@variants
@resources
def test_records_have_the_types_of_the_rest_binding(variant: Variant, resource: str) -> None:
    """Required fields too, but for those that the docs name for the provider."""
    for row in rows_of(variant, resource):
        assert problems_of(variant.kind, resource, row.data) == []


@variants
@resources
def test_a_page_accounts_for_every_row_received(variant: Variant, resource: str) -> None:
    """The ids tell of all rows, and what a discovering listing finds are listings."""
    for listing, _, page in pages_of(variant, resource):
        assert len(page.ids) == page.received >= max(len(page.rows), 1)
        assert bool(page.listings) == listing.discovers
        assert not (listing.discovers and page.rows)
        assert page.total in (None, page.received)


@variants
def test_references_lead_to_records(variant: Variant) -> None:
    """Every id that a record refers to is the id of a record: nothing in the roster dangles."""
    ids = {resource: set(data_of(variant, resource)) for resource in ROSTER}
    targets = {
        "org": ids["orgs"],
        "academicSession": ids["terms"],
        "course": ids["courses"],
        "class": ids["classes"],
        "user": ids["students"] | ids["teachers"],
    }
    seen = 0
    for resource in ROSTER:
        for data in data_of(variant, resource).values():
            for ref in _references(data):
                assert ref["sourcedId"] in targets[ref["type"]]
                seen += 1
    assert seen > 10
    assert ids["demographics"] <= ids["students"]


def _references(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        if "type" in value and "sourcedId" in value and "status" not in value:
            return [value]
        return [ref for each in value.values() for ref in _references(each)]
    if isinstance(value, list):
        return [ref for each in value for ref in _references(each)]
    return []


@pytest.mark.parametrize("resource", ROSTER)
def test_oneroster_1_1_and_1_2_read_alike(resource: str) -> None:
    """A district in 1.1 becomes the same canonical records as in 1.2, but for what 1.1 lacks."""
    old, new = (
        data_of(BY_NAME["oneroster-1.1"], resource),
        data_of(BY_NAME["oneroster-1.2"], resource),
    )
    for data in [*old.values(), *new.values()]:
        data.pop("userMasterIdentifier", None)
    assert _without_hrefs(old) == _without_hrefs(new)


def _without_hrefs(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_hrefs(v) for k, v in value.items() if k != "href"}
    return [_without_hrefs(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("resource", ROSTER)
def test_powerschool_reads_alike_with_and_without_the_plugin(resource: str) -> None:
    """The same records; what only the plugin tells stays as it is when read without."""
    fast = {row.sourced_id: row for row in rows_of(BY_NAME["powerschool-plugin"], resource)}
    slow = {row.sourced_id: row for row in rows_of(BY_NAME["powerschool-plain"], resource)}
    assert fast.keys() == slow.keys()
    for sourced_id, row in slow.items():
        assert row.completed(fast[sourced_id].data).data == fast[sourced_id].data


@variants
@pytest.mark.parametrize("empty", [None, "", []])
def test_an_empty_list_is_no_rows(variant: Variant, empty: Any) -> None:
    """`null`, an empty text and an empty list all mean that there is nothing."""
    for resource in ("courses", "students", "enrollments"):
        for listing, response, _ in pages_of(variant, resource):
            body = json.loads(response.body)
            name = next(name for name, held in body.items() if isinstance(held, dict | list))
            answer = HttpResponse(200, {}, json.dumps({**body, name: empty}).encode())
            page = variant.dialect.read_page(resource, listing, Position(), answer)
            assert (page.rows, page.received, page.ids) == ([], 0, [])


class _Noting(dict[str, str]):
    """Headers that note which of them are asked for."""

    def __init__(self, headers: Any) -> None:
        super().__init__(headers)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __iter__(self) -> Any:
        self.asked.add("all of them")
        return super().__iter__()

    def items(self) -> Any:
        self.asked.add("all of them")
        return super().items()


@variants
@resources
def test_a_page_goes_by_no_headers_but_those_it_is_known_by(
    variant: Variant, resource: str
) -> None:
    """Else a page that is the same but for another header would be taken for known."""
    for listing, response, _ in pages_of(variant, resource):
        headers = _Noting(response.headers)
        position = Position(size=listing.page_size)
        variant.dialect.read_page(resource, listing, position, replace(response, headers=headers))
        assert headers.asked <= set(PAGE_HEADERS)
