"""Every kind: what a refusal says, and bodies that are not the dialect's."""

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sisgate.domain.records import ROSTER
from sisgate.errors import MESSAGE_LIMIT, AnswerInvalid
from sisgate.providers.dialect import Listing, Page, Position
from sisgate.providers.http import HttpResponse
from tests.contract.providers.variants import BY_NAME, VARIANTS, Variant, pages_of

variants = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
RECORDED = [
    (variant.name, resource, listing, json.loads(response.body))
    for variant in VARIANTS
    for resource in ROSTER
    for listing, response, _ in pages_of(variant, resource)
]

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**301)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["2026-13-45", "0001-01-01T00:00:00+14:00", "-", "--1", "²", "\uff11"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)

HOSTILE = {
    "empty": b"",
    "null": b"null",
    "number": b"42",
    "list": b"[]",
    "object": b"{}",
    "text": b'"users"',
    "html": b"<html><body>502 Bad Gateway</body></html>",
    "numbers for lists": b'{"users": 7, "students": 7, "record": 7, "district": 7}',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"users":' * 900 + b"1" + b"}" * 900,
    "wrong charset": b'\xff\xfe{"users": []}',
    "half a surrogate": b'{"users": [{"sourcedId": "\xed\xa0\x80"}]}',
    "says that it failed": (
        b'{"imsx_codeMajor": "failure", "users": [], "record": [], "name": "x",'
        b' "students": {"student": []}}'
    ),
}
BAD_ROWS = [
    None,
    7,
    "a",
    [1],
    {},
    {"sourcedId": None, "id": None},
    {"sourcedId": "", "id": "seven"},
    {"sourcedId": True, "id": True},
    {"sourcedId": "x" * 256, "id": -3},
    {"sourcedId": math.nan, "id": math.inf},
    {"sourcedId": 10**400, "id": 10**400},
    {"sourcedId": {"sourcedId": "a"}, "id": {"id": 3}},
]


def read(name: str, resource: str, listing: Listing, body: bytes) -> Page | None:
    """Read a body; None where it is not the dialect's. The records can be hashed and stored."""
    response = HttpResponse(200, {}, body)
    try:
        page = BY_NAME[name].dialect.read_page(resource, listing, Position(), response)
    except AnswerInvalid:
        return None
    for row in page.rows:
        assert row.content_hash
        assert isinstance(row.sourced_id, str)
        assert row.last_modified is None or row.last_modified.tzinfo
    return page


@variants
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_body_is_an_invalid_answer(variant: Variant, body: bytes) -> None:
    """Wrong types, deep nesting, huge numbers and no JSON at all end in one error only."""
    listing = variant.dialect.plan("students", since=None)[0]
    assert read(variant.name, "students", listing, body) is None


@given(st.sampled_from(RECORDED), st.lists(st.tuples(st.integers(0, 50), anything), max_size=4))
def test_a_bad_row_costs_no_other(
    recorded: tuple[str, str, Listing, Any], bad: list[tuple[int, Any]]
) -> None:
    """Whatever stands between the rows: they are read as before, and each bad one is told."""
    name, resource, listing, body = recorded
    if listing.paging == "single":
        return
    whole = read(name, resource, listing, json.dumps(body).encode())
    assert whole is not None
    body = copy.deepcopy(body)
    rows = _list_of_rows(body)
    for place, row in bad:
        if not isinstance(row, dict) and _is_finite(row):
            rows.insert(place, row)
    page = read(name, resource, listing, json.dumps(body).encode())
    assert page is not None
    assert [row.data for row in page.rows] == [row.data for row in whole.rows]
    assert len(page.listings) == len(whole.listings)
    assert page.received == len(page.ids) == len(rows)
    lost = {flaw.row for flaw in page.flaws if flaw.lost}
    assert lost == {n for n, row in enumerate(rows, 1) if not isinstance(row, dict)}


@variants
@pytest.mark.parametrize("row", BAD_ROWS, ids=repr)
def test_a_row_without_an_id_is_told_by_its_number(variant: Variant, row: Any) -> None:
    """And by its field, without its value. Two such rows are not taken for one."""
    for resource in ROSTER:
        listing, response, whole = next(
            found for found in pages_of(variant, resource) if found[0].paging != "single"
        )
        body = json.loads(response.body)
        rows = _list_of_rows(body)
        rows[1:1] = [row, {"name": "another"}]
        page = read(variant.name, resource, listing, json.dumps(body).encode())
        assert page is not None
        assert len(page.rows) == len(whole.rows)
        assert [flaw.row for flaw in page.flaws if flaw.lost] == [2, 3]
        assert len(set(page.ids)) == len(page.ids) or row == {"name": "another"}


def _is_finite(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _list_of_rows(body: Any) -> list[Any]:
    """Return the list that holds a recorded answer's rows, made one where it is an object."""
    for name, held in list(body.items()):
        if isinstance(held, list):
            return held
        if isinstance(held, dict):
            if "sourcedId" in held:
                only = [held]
                body[name] = only
                return only
            inner = next((k for k, v in held.items() if isinstance(v, list | dict)), None)
            if inner is not None and not isinstance(held[inner], list):
                held[inner] = [held[inner]]
            if inner is not None:
                rows: list[Any] = held[inner]
                return rows
    raise AssertionError(body)


@given(st.sampled_from(RECORDED), anything)
def test_any_json_is_a_page_or_an_invalid_answer(
    recorded: tuple[str, str, Listing, Any], body: Any
) -> None:
    """Nothing that JSON can hold raises anything else."""
    name, resource, listing, _ = recorded
    read(name, resource, listing, json.dumps(body).encode())


@settings(max_examples=400)
@given(st.sampled_from(RECORDED), anything, st.data())
def test_any_part_may_be_wrong(
    recorded: tuple[str, str, Listing, Any], wrong: Any, data: st.DataObject
) -> None:
    """A documented answer with any one value replaced is a page or an invalid answer."""
    name, resource, listing, body = recorded
    body = copy.deepcopy(body)
    places = list(_places(body))
    holder, key = places[data.draw(st.integers(0, len(places) - 1))]
    holder[key] = wrong
    read(name, resource, listing, json.dumps(body).encode())


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = []
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], dict | list):
            found += _places(value[key])
    return found


ERRORS = {
    "imsx": (
        (
            b'{"imsx_codeMajor": "failure", "imsx_description": "Too busy",'
            b' "imsx_CodeMinor": {"imsx_codeMinorField": [{"imsx_codeMinorFieldName": "Target",'
            b' "imsx_codeMinorFieldValue": "server_busy"}]}}'
        ),
        "Too busy",
        "server_busy",
    ),
    "error": (b'{"error": "No such client"}', "No such client", None),
    "oauth": (
        b'{"error": "invalid_token", "error_description": "It is over"}',
        "It is over",
        "invalid_token",
    ),
    "message": (
        (
            b'{"message": "Validation Failed", "errors": [{"resource": "student", "field": "q",'
            b' "code": "INVALID_QUERY"}]}'
        ),
        "Validation Failed",
        "INVALID_QUERY",
    ),
    "errorMessage": (
        b'{"errorMessage": {"message": "Plugin is missing required permission"}}',
        "Plugin is missing required permission",
        None,
    ),
    "html": (
        (
            b"<html><head><title>502 Bad Gateway</title><style>p {}</style></head>"
            b"<body><h1>Bad&nbsp;Gateway</h1></body></html>"
        ),
        "502 Bad Gateway: Bad Gateway",
        None,
    ),
    "plain": (b"upstream timed out\n", "upstream timed out", None),
    "nothing": (b"", "The provider answered 500.", None),
}


@variants
@pytest.mark.parametrize("form", ERRORS)
def test_a_refusal_is_told_in_the_providers_words(variant: Variant, form: str) -> None:
    """Every known form of an error gives its message, its code and the request's id."""
    body, message, code = ERRORS[form]
    error = variant.dialect.read_error(HttpResponse(500, {"x-request-id": "r-1"}, body))
    assert (error.message, error.code, error.request_id) == (message, code, "r-1")


@given(
    st.sampled_from(VARIANTS),
    st.binary() | anything.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(["x-request-id", "content-type"]), st.text()),
    st.integers(100, 599),
)
def test_reading_a_refusal_never_raises(
    variant: Variant, body: bytes, headers: dict[str, str], status: int
) -> None:
    """Whatever comes back, there is a short message on one line."""
    response = HttpResponse(status, headers, body)
    error = variant.dialect.read_error(response)
    assert 0 < len(error.message) <= MESSAGE_LIMIT
    assert error.message.isprintable()
    assert variant.dialect.token_expired(response) in (True, False)


@pytest.mark.parametrize("piece", [b"<", b"<!--", b"<script>", b"<title>", b"&#", b'{"a":[', b"\\"])
def test_a_long_refusal_is_read_in_no_time(piece: bytes) -> None:
    """A megabyte made to slow a reader down is cut before it is looked at."""
    dialect = BY_NAME["oneroster-1.2"].dialect
    assert len(dialect.read_error(HttpResponse(500, {}, piece * 200_000)).message) <= MESSAGE_LIMIT


@variants
@pytest.mark.parametrize(
    ("status", "challenge", "body", "expired"),
    [
        (401, 'Bearer error="invalid_token", error_description="expired"', b"", True),
        (401, "Bearer", b'{"error": "Token has expired"}', True),
        (401, "", b'{"Message": "Token has expired. Please log in again."}', True),
        (403, "", b'{"error": "Token has expired"}', True),
        (401, "", b'{"errorMessage": {"message": "Plugin is missing required permission"}}', False),
        (403, "", b'{"message": "Your password expires soon"}', False),
        (500, "", b'{"error": "Token has expired"}', False),
    ],
)
def test_an_expired_token_is_told_from_a_missing_permission(
    variant: Variant, status: int, challenge: str, body: bytes, expired: bool
) -> None:
    """Only the first is worth a new token."""
    response = HttpResponse(status, {"www-authenticate": challenge}, body)
    assert variant.dialect.token_expired(response) is expired
