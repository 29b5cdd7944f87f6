"""A page is known again by all that its reading goes by, and by nothing else."""

from dataclasses import fields, replace
from importlib.resources import files
from typing import Any

import pytest

from sisgate.providers.dialect import PAGE_HEADERS, Dialect, DialectOptions
from sisgate.providers.http import HttpResponse
from sisgate.providers.kinds import InfiniteCampus
from sisgate.providers.oneroster import OneRoster
from sisgate.sync.known_pages import CODE, digest_of

OPTIONS = DialectOptions(version="1.2")
CHANGED: dict[str, Any] = {
    "version": "1.1", "page_size": 7, "base_path": "/other", "school_year": 2027,
    "link_origins": ("https://other.test",),
}  # fmt: skip
RESPONSE = HttpResponse(200, dict.fromkeys(PAGE_HEADERS, "1"), b'{"users": []}', url="https://a/b")


def digest(response: HttpResponse = RESPONSE, dialect: Dialect | None = None) -> bytes:
    """Return the digest of a page that a dialect reads."""
    return digest_of(dialect or OneRoster(OPTIONS), response)


def test_the_same_response_is_the_same_page() -> None:
    """Whatever comes with it that no dialect looks at, and from whichever endpoint."""
    headers = {**RESPONSE.headers, "date": "today"}
    again = replace(RESPONSE, headers=headers, elapsed_seconds=9.0, url="https://c/b")
    assert digest(again) == digest()


@pytest.mark.parametrize("name", PAGE_HEADERS)
def test_another_header_is_another_page(name: str) -> None:
    """Also one that is missing."""
    without = {key: text for key, text in RESPONSE.headers.items() if key != name}
    assert digest(replace(RESPONSE, headers=without)) != digest()
    assert digest(replace(RESPONSE, headers={**without, name: "2"})) != digest()


def test_another_status_body_or_kind_is_another_page() -> None:
    """A body may mean something else to another kind."""
    assert digest(replace(RESPONSE, status=206)) != digest()
    assert digest(replace(RESPONSE, body=b'{"users":[]}')) != digest()
    assert digest(dialect=InfiniteCampus(OPTIONS)) != digest()


@pytest.mark.parametrize("name", [field.name for field in fields(DialectOptions)])
def test_another_option_is_another_page(name: str) -> None:
    """Each of them, also one that is yet to come."""
    changed = replace(OPTIONS, **{name: CHANGED[name]})
    assert digest(dialect=OneRoster(changed)) != digest()


@pytest.mark.parametrize(("package", "module"), CODE)
def test_the_code_that_reads_is_where_it_is_looked_for(package: str, module: str) -> None:
    """Or an upgrade that reads otherwise would not be noticed."""
    names = [file.name for file in files(package).iterdir()]
    assert module in names if module else "oneroster_mapping.py" in names
