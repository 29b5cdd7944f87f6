"""The Link header."""

import pytest

from sisgate.errors import AnswerInvalid
from sisgate.providers.http import HttpResponse
from sisgate.providers.paging import local_link, next_link, read_links


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


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://inner.local:8080/base/x?cursor=1", "/x?cursor=1"),
        ("http://inner.local:8080/x?cursor=1", "/x?cursor=1"),
    ],
)
def test_a_link_by_the_servers_inner_name_is_read_at_the_endpoint(
    target: str, expected: str
) -> None:
    """With or without the prefix that a proxy puts in front; only where that name is configured."""
    asked = "https://sis.example.org/base/x"
    names = ["https://other.example", "http://inner.local:8080"]
    assert local_link(target, asked_url=asked, asked_path="/x", aliases=names) == expected
    with pytest.raises(AnswerInvalid, match=r'link_origins = \["http://inner.local:8080"\]') as no:
        local_link(target, asked_url=asked, asked_path="/x", aliases=names[:1])
    assert no.value.is_final


@pytest.mark.parametrize(
    "target",
    [
        "http://user@inner.local:8080/base/x",
        "https://inner.local:8080/base/x",
        "http://inner.local/base/x",
        "http://inner.local:8080/base/../x",
        "http://inner.local:8080//evil.example/x",
    ],
)
def test_an_inner_name_opens_no_other_way(target: str) -> None:
    """Scheme, port and user are part of it, and its paths stay below the base URL."""
    with pytest.raises(AnswerInvalid):
        local_link(
            target,
            asked_url="https://sis.example.org/base/x",
            asked_path="/x",
            aliases=["http://inner.local:8080"],
        )
