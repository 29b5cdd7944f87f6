"""What counts as a message of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.messages import MAX_MESSAGE_BYTES, NotOurs, check, read_message

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def good() -> dict[str, Any]:
    """Return the parts that are looked at."""
    return {
        "body": "W10=",
        "headers": {"task": "sisgate.call.p", "id": "1", "timelimit": [None, 5]},
        "properties": {
            "delivery_tag": "t",
            "delivery_info": {"exchange": "", "routing_key": "p"},
        },
    }


def test_a_message_of_ours_is_read() -> None:
    """Text in, payload out."""
    assert read_message(json.dumps(good()).encode()) == good()


@pytest.mark.parametrize("place", ["body", "headers", "properties"])
@given(value=JSON)
def test_whatever_stands_in_a_part_is_refused_in_one_way(place: str, value: Any) -> None:
    """Any other shape is `NotOurs`, never another error."""
    payload = {**good(), place: value}
    try:
        check(payload)
    except NotOurs:
        return
    assert place == "body"


def test_size_depth_and_compression_are_bounded() -> None:
    """What would take much to read is refused before it is read."""
    with pytest.raises(NotOurs, match="bytes"):
        read_message(b" " * (MAX_MESSAGE_BYTES + 1))
    with pytest.raises(NotOurs, match="deep"):
        read_message(b"[" * 100_000)
    made = good()
    made["headers"]["compression"] = "application/x-gzip"
    with pytest.raises(NotOurs, match="compressed"):
        check(made)
