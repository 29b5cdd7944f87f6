"""No path or query that an app hands in leads to another place than the provider."""

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from sisgate.errors import UsageError
from sisgate.providers.http import HttpRequest
from sisgate.transport import build_url

BASE = "https://sis.test:8443/base"

nasty = st.sampled_from(
    ["/", "//", "..", ".", "%2e", "%2E%2e", "@", ":", "\\", "%5c", "?", "#", "\r\n", "\0", "%00",
     "%0d%0a", "http://evil.test", "evil.test", " ", "\t", ";", "&", "=",
     "é", "😀", "\ud800", "[", "]", "%"]
)  # fmt: skip
paths = st.lists(nasty | st.text(max_size=4), max_size=8).map("".join)


@given(paths | paths.map(lambda path: f"/{path}"))
def test_a_path_stays_on_the_providers_origin_and_base(path: str) -> None:
    """It is refused, or the URL that leaves, as the HTTP library reads it, is below the base."""
    try:
        url = build_url(BASE, HttpRequest(path))
    except UsageError:
        return
    prepared = requests.Request("GET", url).prepare().url
    assert prepared is not None
    parts = urlsplit(prepared)
    assert (parts.scheme, parts.hostname, parts.port) == ("https", "sis.test", 8443)
    assert parts.username is parts.password is None
    assert parts.query == parts.fragment == ""
    assert parts.path.startswith("/base/")
    assert not {".", ".."} & set(unquote(parts.path).split("/"))
    assert not any(ord(c) < 33 for c in prepared)


@given(st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=8)), max_size=4))
def test_a_query_says_what_it_was_given_and_nothing_more(query: list[tuple[str, str]]) -> None:
    """Whatever is in names and values, the server reads the same pairs."""
    pairs = [(k, v) for k, v in query if not any(0xD800 <= ord(c) < 0xE000 for c in k + v)]
    url = build_url(BASE, HttpRequest("/x", tuple(pairs)))
    parts = urlsplit(url)
    assert (parts.hostname, parts.path, parts.fragment) == ("sis.test", "/base/x", "")
    assert parse_qsl(parts.query, keep_blank_values=True) == pairs


@pytest.mark.parametrize("path", ["/a%20b", "/Caf%C3%A9", "/a:b@c", "/a;v=1", "/(x)"])
def test_an_ordinary_path_is_kept(path: str) -> None:
    """Escapes are not escaped again."""
    assert build_url(BASE, HttpRequest(path)) == BASE + path
