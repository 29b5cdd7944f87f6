"""JSON bodies: what comes out can be hashed and stored."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sisgate.providers.http import DEPTH_LIMIT, read_json

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


_WRITTEN = r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?"
_numbers = st.from_regex(_WRITTEN, fullmatch=True)
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6).map(
    lambda each: json.dumps(each, ensure_ascii=False)
)
_json_texts = st.recursive(
    _numbers | _texts,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda each: f"[{', '.join(each)}]")
        | st.lists(st.tuples(_texts, inner), max_size=4).map(
            lambda each: f"{{{','.join(f'{name}:{value}' for name, value in each)}}}"
        )
    ),
    max_leaves=10,
)


@given(_json_texts)
@example("[18446744073709551616, -9223372036854775809, 18446744073709551615]")
@example('{"a": 1, "b": 2, "a": 3}')
def test_every_number_and_name_is_read_as_by_the_standard_library(text: str) -> None:
    """Existing records were hashed as it reads them, and no digit of a long id may be lost."""
    expected = json.loads(text)
    assert repr(read_json(text.encode())) == repr(expected)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
def test_json_may_come_in_any_unicode_encoding(encoding: str) -> None:
    """A byte order mark of a Windows server is no reason to fail."""
    assert read_json('{"name": "Zoë"}'.encode(encoding)) == {"name": "Zoë"}


@pytest.mark.parametrize(
    ("charset", "sent_in"),
    [
        ("ISO-8859-1", "latin-1"),
        ("iso-8859-1", "cp1252"),
        ("windows-1252", "cp1252"),
        ("ISO-8859-1", "utf-8"),
        ("no-such-charset", "utf-8"),
        ("base64", "utf-8"),
        ("utf-16", "utf-16"),
        (None, "utf-8"),
    ],
)
def test_a_declared_encoding_is_used_where_it_is_not_utf_8(
    charset: str | None, sent_in: str
) -> None:
    """A server may declare Latin-1 and mean it, or declare it by habit and send UTF-8."""
    assert read_json('{"name": "Núñez"}'.encode(sent_in), charset) == {"name": "Núñez"}


def test_an_encoding_that_is_neither_declared_nor_utf_8_is_refused() -> None:
    """Nobody can tell which letters were meant."""
    with pytest.raises(ValueError, match="decode"):
        read_json('{"name": "Núñez"}'.encode("latin-1"))


def test_control_characters_may_stand_in_texts() -> None:
    """Line breaks, tabs and the like as they are; NUL goes as ever."""
    assert read_json(b'{"name": "A\n\tb\x1f\x00"}') == {"name": "A\n\tb\x1f"}


def test_a_spoilt_text_is_mended_and_the_rest_kept() -> None:
    """NUL goes, half a surrogate pair becomes the replacement character, emoji stay."""
    body = rb'{"a": "x\u0000y", "b": ["\ud83d"], "c": "\ud83d\ude00", "d\u0000": "\\u0000"}'
    assert read_json(body) == {"a": "xy", "b": ["�"], "c": "\U0001f600", "d": "\\u0000"}


@pytest.mark.parametrize("text", ["{'a': 1}", "[1,]", "", "\x00", "[nan]", "[1e]"])
def test_what_is_not_json_is_refused(text: str) -> None:
    """The usual near misses."""
    with pytest.raises(ValueError, match=r".*"):
        read_json(text.encode())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NaN", None),
        ("-Infinity", None),
        ("1e999", "1e999"),
        ("-1e999", "-1e999"),
        ("7" * 400, int("7" * 400)),
        ("7" * 5000, "7" * 5000),
        ("-" + "7" * 5000, "-" + "7" * 5000),
    ],
    ids=["NaN", "-Infinity", "1e999", "-1e999", "400 digits", "5000 digits", "-5000 digits"],
)
def test_a_number_that_is_none_costs_nothing_else(text: str, value: Any) -> None:
    """The value is lost or a text, and everything beside it is read as it is."""
    body = f'{{"a": 12, "b": [1.5, {text}], "c": "NaN"}}'.encode()
    assert read_json(body) == {"a": 12, "b": [1.5, value], "c": "NaN"}


def test_nesting_has_a_limit_well_below_the_stack() -> None:
    """As deep as the limit is fine, one deeper is not, in lists and objects alike."""
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        fine = opening * (DEPTH_LIMIT - 1) + "[]" + closing * (DEPTH_LIMIT - 1)
        assert read_json(fine.encode())
        with pytest.raises(ValueError, match="deep"):
            read_json((opening + fine + closing).encode())
