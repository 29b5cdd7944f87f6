"""What is told of a message that no worker could take."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sisgate.domain.message_shape import outline, task_of
from sisgate.quarantine import KEPT_BYTES, NO_QUEUE, BadMessage, refusal

SECRET = "Eve Kowalski"
SECRETS = st.recursive(
    st.just(SECRET) | st.integers() | st.none() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([SECRET, "body", "headers", "task", "id"]), inner)
    ),
    max_leaves=12,
)


def message(text: bytes, *, queue: str = "lincoln", size: int | None = None) -> BadMessage:
    """Return a message in quarantine."""
    size = len(text) if size is None else size
    return BadMessage("1", datetime.now(UTC), queue, "no task", task_of(text), size, text)


@given(SECRETS)
def test_nothing_of_a_content_is_told(payload: object) -> None:
    """Whatever stands wherever in it, as a name or as a value."""
    text = json.dumps(payload).encode()
    told = json.dumps([message(text).as_dict(), outline(text)], default=str)
    assert SECRET not in told


def test_what_cannot_be_read_has_no_outline() -> None:
    """However it is broken."""
    for text in (b"", SECRET.encode(), b"\xff\xfe", b"[" * 7000):
        assert outline(text) == "no JSON"
        assert task_of(text) is None


def test_only_what_a_worker_may_take_one_day_is_put_back() -> None:
    """Whole, from a queue that is known, and an object."""
    good = b'{"headers": {"task": "sisgate.sync"}}'
    assert refusal(message(good)) is None
    assert "bytes" in (refusal(message(good, size=KEPT_BYTES + 1)) or "")
    assert "Drop it" in (refusal(message(good, queue=NO_QUEUE)) or "")
    assert "Drop it" in (refusal(message(b"[]")) or "")
