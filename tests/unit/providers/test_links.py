"""The Link header."""

from __future__ import annotations

import pytest

from sisgate.providers.dialect import HttpResponse
from sisgate.providers.links import local_link, next_link, read_links


def test_relations_are_read_in_every_usual_spelling() -> None:
    """Quoted or bare, several in one, in any case, with commas inside the target."""
    header = '<a?x=1,2>; title="t"; rel="next last", <b>;REL=First, <c>; rel=next, <d>'
    assert read_links(header) == {"next": "a?x=1,2", "last": "a?x=1,2", "first": "b"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", (None, None)),
        ('<style.css>; rel="preload"', (None, None)),
        ('</a?offset=0>; rel="first"', (False, None)),
        ('</a?offset=9>; rel="next"', (True, "/a?offset=9")),
        ("garbage; rel=next", (None, None)),
    ],
)
def test_only_paging_relations_tell_whether_more_follows(
    header: str, expected: tuple[bool | None, str | None]
) -> None:
    """A Link header about something else says nothing."""
    assert next_link(HttpResponse(200, {"link": header}, b"")) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("https://sis.example.org/base/x/y?cursor=a%2Fb", "/x/y?cursor=a%2Fb"),
        ("https://SIS.example.org:443/base/x?cursor=1", "/x?cursor=1"),
        ("/base/z", "/z"),
        ("?cursor=2", "/x?cursor=2"),
        ("y?cursor=2", "/y?cursor=2"),
    ],
)
def test_a_link_becomes_a_path_below_the_base_url(target: str, expected: str) -> None:
    """Absolute and relative links of the same origin, without the endpoint's own prefix."""
    asked = "https://sis.example.org/base/x"
    assert local_link(target, asked_url=asked, asked_path="/x") == expected


def test_without_the_asked_url_only_relative_links_are_followed() -> None:
    """An origin that cannot be compared is not trusted."""
    assert local_link("/x?cursor=1", asked_url="", asked_path="/x") == "/x?cursor=1"
