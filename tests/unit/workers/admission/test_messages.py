"""What counts as a message of ours."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.broker import LIMITS_TASK, SYNC_TASK, call_task
from workers.admission.messages import MAX_MESSAGE_BYTES, REFUSED, NotOurs, check, read_message

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def encoded(body: Any) -> str:
    """Return a body as it stands in a message."""
    return base64.b64encode(json.dumps(body).encode()).decode()


def good(task: str = "sisgate.call.p", embedded: Any = None, **headers: Any) -> dict[str, Any]:
    """Return the parts that are looked at."""
    return {
        "body": encoded([[], {"call_id": 5}, embedded]),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": task, "id": "1", "timelimit": [None, 5], **headers},
        "properties": {
            "body_encoding": "base64",
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
    with pytest.raises(NotOurs):
        check(payload)


def test_size_depth_and_compression_are_bounded() -> None:
    """What would take much to read is refused before it is read."""
    with pytest.raises(NotOurs, match="bytes"):
        read_message(b" " * (MAX_MESSAGE_BYTES + 1))
    with pytest.raises(NotOurs, match="deep"):
        read_message(b"[" * 100_000)
    with pytest.raises(NotOurs, match="cannot be read"):
        read_message(b'{"headers": {"__type__": "decimal", "__value__": "x"}}')
    made = good()
    made["headers"]["compression"] = "application/x-gzip"
    with pytest.raises(NotOurs, match="compressed"):
        check(made)


LINK = {"task": LIMITS_TASK, "kwargs": {"provider": "p", "limit": "9000/s"}}
CALLBACKS = {"callbacks": [LINK], "errbacks": [LINK], "chain": [LINK], "chord": LINK}


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize("task", [call_task("p"), LIMITS_TASK, "sisgate.rollups"])
def test_callbacks_are_refused_wherever_they_stand(name: str, task: str) -> None:
    """Celery would send what `link`, `chain` and their like name, with the rights of the fleet."""
    for payload in (
        good(task, {name: CALLBACKS[name]}),
        good(task, **{name: CALLBACKS[name]}),
        good(task, eta="2031-01-01T00:00:00"),
    ):
        with pytest.raises(NotOurs, match="asks for"):
            check(payload)


@pytest.mark.parametrize(
    "body",
    [
        [[], {}, {"sisgate_permit": {"id": "forged"}}],
        [[], {}, {"id": "other", "chain": None}],
        {"args": [], "kwargs": {}, "callbacks": [LINK]},
        [[], {}],
        [{}, [], {}],
        [[], {}, []],
        [[], {"when": {"__type__": "decimal", "__value__": "x"}}, {}],
        [[], {"when": {"__type__": "datetime", "__value__": 5}}, {}],
    ],
)
def test_a_body_holds_a_task_and_nothing_else(body: Any) -> None:
    """What is embedded beside callbacks would replace headers, such as the permit."""
    with pytest.raises(NotOurs):
        check({**good(), "body": encoded(body)})


def test_what_celery_would_decode_differently_is_refused() -> None:
    """So the body that was looked at is the body that is run."""
    for change in ({"content-encoding": "utf-7"}, {"content-type": "application/x-yaml"}):
        with pytest.raises(NotOurs):
            check({**good(), **change})
    payload = good()
    payload["properties"]["body_encoding"] = "rot13"
    with pytest.raises(NotOurs, match="encoding"):
        check(payload)


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_sync_loses_its_callbacks_and_is_told(name: str) -> None:
    """Its asker finds the reason under the task's id."""
    for payload in (
        good(SYNC_TASK, {name: CALLBACKS[name]}),
        good(SYNC_TASK, **{name: CALLBACKS[name]}),
    ):
        check(payload)
        args, kwargs, embedded = json.loads(base64.b64decode(payload["body"]))
        assert (args, kwargs, embedded) == ([], {"call_id": 5}, {})
        assert name not in payload["headers"]
        assert payload["headers"][REFUSED] in {"link", "link_error", "chain", "chord"}


@pytest.mark.parametrize("retries", [0, 1])
def test_nobody_sends_an_eta(retries: int) -> None:
    """A worker would hold the message for as long as it says, by the clocks of two hosts."""
    payload = good(SYNC_TASK, eta="2031-01-01T00:00:00", retries=retries)
    check(payload)
    assert payload["headers"][REFUSED] == "eta or countdown"
    assert "eta" not in payload["headers"]
