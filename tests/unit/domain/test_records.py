"""Records as JSON text: the same text for the same data, now and in ledgers of before."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.domain.records import Row, encode

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
    | st.from_regex(r"[\[,:\"]?-?[0-9]+[.e][0-9]*", fullmatch=True),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


def standard(data: Any) -> str:
    """Return what the standard library makes of it, with which content hashes began."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


@given(st.dictionaries(text, value, max_size=6))
def test_the_text_of_a_record_is_that_of_the_standard_library(data: dict[str, Any]) -> None:
    """Another form would change the hash of a record that is the same."""
    row = Row("a", data, {"raw": data})
    assert row.data_json == standard(data)
    assert row.content_hash == hashlib.sha256(standard(data).encode()).digest()
    assert json.loads(row.original_json) == {"raw": data}


@given(st.lists(st.dictionaries(text, value, max_size=4), max_size=5))
def test_rows_encoded_together_are_those_encoded_one_by_one(page: list[dict[str, Any]]) -> None:
    """A page is written in one go: no row may get the text of another or a different one."""
    rows = [Row(f"{n}", data, {"raw": data}) for n, data in enumerate(page)]
    encode(rows)
    for row, data in zip(rows, page, strict=True):
        alone = Row(row.sourced_id, data, {"raw": data})
        assert {"_data_text", "original_json", "content_hash"} <= vars(row).keys()
        assert row.data_json == alone.data_json == standard(data)
        assert row.original_json == alone.original_json
        assert row.content_hash == alone.content_hash


@pytest.mark.parametrize(
    "number", [1e16, 1e-5, 0.1, -0.0, 1.5e300, 2**64, -(2**63) - 1, 12345678901234567890123]
)
@pytest.mark.parametrize("place", ["{}", "[[{}]]", '["a",{}]', '{{"k":{}}}', "[1,{}]"])
def test_numbers_that_have_several_forms_have_one(number: float, place: str) -> None:
    """Whatever they stand in."""
    data = {"value": json.loads(place.format(json.dumps(number)))}
    assert Row("a", data, {}).data_json == standard(data)
