"""No path of an app leaves the provider's base path, however the server reads it."""

import posixpath
import re
import unicodedata
from itertools import product
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sisgate.domain.validation import usable_path
from sisgate.errors import UsageError

BASE = "/base/v1"

PIECES = st.sampled_from(
    [
        *"/.;%25aZ\\?#@:, ",
        *("..", "...", "%2e", "%2E", "%2f", "%5c", "%252e", "%252f", "%25252e", "%3b", "%253b"),
        *("%00", "%0d%0a", "%3f", "%23", "%20", "%c0%ae", "%e0%80%ae", "%u002e", "%u2215", "%"),
        *("\uff0e", "\uff0f", "\u2025", "\uff052e", "\uff1b", "%ef%bc%8e", "students", "\t", "é"),
    ]
)
PATHS = st.lists(PIECES, max_size=10).map(lambda pieces: "/" + "".join(pieces))


def read(path: str, decodings: int, cuts: bool, folds: bool) -> str:
    """Return where a server of a careless kind looks for base and path."""
    for _ in range(decodings):
        path = unquote(re.sub("%u(....)", lambda m: chr(int(m[1], 16)), path), errors="ignore")
    if folds:
        path = unicodedata.normalize("NFKC", path).replace("\\", "/")
    path = re.split("[?#\0]", path)[0]
    if cuts:
        path = re.sub(";[^/]*", "", path)
    return posixpath.normpath(BASE + path)


@given(path=PATHS)
@example("/..;/")
@example("/a/..;x=1/..;/admin")
@example("/a/%2f..%2f")
@example("/%252e%252e/x")
@example("/%25252e%25252e/x")
@example("/..%5c..%5c")
@example("/a//b")
@example("/%c0%ae%c0%ae/x")
def test_no_server_finds_a_usable_path_outside_of_the_base(path: str) -> None:
    """Servers that decode once to thrice, cut parameters, fold Unicode and backslashes."""
    try:
        usable_path(path)
    except UsageError:
        return
    for decodings, cuts, folds in product(range(4), (False, True), (False, True)):
        place = read(path, decodings, cuts, folds)
        assert f"{place}/".startswith(f"{BASE}/"), (place, decodings, cuts, folds)
        assert "//" not in place


@pytest.mark.parametrize(
    "path",
    [
        "//host/x", "/a//b", "/..", "/a/..;/b", "/a/.;/b", "/;x/b", "/a/%2f..%2fb",
        "/%252e%252e/x", "/a/%2e%2e%2fb", "/a\\..\\b", "/a%5cb", "/a%255cb", "/a%00", "/a%2500",
        "/a#b", "/a b", "/a\u0085b", "/.../a", "/..%20/a", "/%u002e%u002e/a",
        "/\uff0e\uff0e/a",
        "/%c0%ae/a", "/a%ff", "/..%3fx", "/\ud800", "/" + quote("/..") * 3, "/%2525252525252e",
    ],
)  # fmt: skip
def test_what_could_leave_is_refused(path: str) -> None:
    """Each of them has got out of some server."""
    with pytest.raises(UsageError, match="stays below"):
        usable_path(path)


@pytest.mark.parametrize(
    ("path", "reason"),
    [("", "starts with /"), ("x", "starts with /"), ("/a?b", "give the query separately")],
)
def test_an_ordinary_mistake_is_named(path: str, reason: str) -> None:
    """Not with the rules against paths that leave the provider's."""
    with pytest.raises(UsageError, match=reason):
        usable_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "/", "/ws/v1/district/school", "/ws/v1/", "/a/b.c/..d/d..", "/schools('5')/x;v=1",
        "/classes/a%2Fb", "/users/50%25", "/users/M%C3%BCller", "/users/é", "/x/a:b@c,d=e+f~",
        "/a%20b", "/a%3Fb",
    ],
)  # fmt: skip
def test_what_providers_have_is_usable(path: str) -> None:
    """Escapes that hide nothing are left as they are."""
    assert usable_path(path) == path
