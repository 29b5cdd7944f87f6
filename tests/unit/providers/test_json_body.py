"""JSON bodies: what comes out can be hashed and stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.providers.json_body import DEPTH_LIMIT, read_json

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values, st.booleans())
def test_what_is_read_can_be_written_in_utf8(value: Any, escaped: bool) -> None:
    """Ordinary JSON is read as it is, escaped or not, but for NUL, which no database holds."""
    read = read_json(json.dumps(value, ensure_ascii=escaped).encode())
    assert json.dumps(read, ensure_ascii=False).replace("\\u0000", "").encode()
    if "\\u0000" not in json.dumps(value):
        assert read == value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_json_may_come_in_any_unicode_encoding(encoding: str) -> None:
    """A byte order mark of a Windows server is no reason to fail."""
    assert read_json('{"name": "Zoë"}'.encode(encoding)) == {"name": "Zoë"}


def test_a_spoilt_text_is_mended_and_the_rest_kept() -> None:
    """NUL goes, half a surrogate pair becomes the replacement character, emoji stay."""
    body = rb'{"a": "x\u0000y", "b": ["\ud83d"], "c": "\ud83d\ude00", "d\u0000": "\\u0000"}'
    assert read_json(body) == {"a": "xy", "b": ["�"], "c": "\U0001f600", "d": "\\u0000"}


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", "{'a': 1}", "[1,]", "", "\x00"])
def test_what_is_not_json_is_refused(text: str) -> None:
    """Numbers that are none, and the usual near misses."""
    with pytest.raises(ValueError, match=r".*"):
        read_json(text.encode())


def test_nesting_has_a_limit_well_below_the_stack() -> None:
    """As deep as the limit is fine, one deeper is not, in lists and objects alike."""
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        fine = opening * (DEPTH_LIMIT - 1) + "[]" + closing * (DEPTH_LIMIT - 1)
        assert read_json(fine.encode())
        with pytest.raises(ValueError, match="deep"):
            read_json((opening + fine + closing).encode())
