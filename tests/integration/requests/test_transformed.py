"""A provider's transforms, from the request that is sent to the answer that is read."""

import pytest

from sisgate import Gateway, NewRequest
from sisgate.errors import TransformFailed, UsageError
from testbed.http_server import json_reply
from testbed.sis import Sis

PATIENCE = 60.0


def test_request_and_answer_are_changed(gateway: Gateway, sis: Sis) -> None:
    """What is stored is the provider's own; each name is another question."""
    sis.reply = lambda _: json_reply({"orgs": [{"name": "A"}, {"name": "B"}]})
    shaped = gateway.request("lincoln", "GET", "/orgs", transform="names", timeout=PATIENCE)
    assert shaped.json() == ["A", "B"]
    assert sis.asked[-1].query == {"limit": "2"}
    plain = gateway.request("lincoln", "GET", "/orgs", max_age=600, timeout=PATIENCE)
    assert plain.origin == "call"
    assert plain.json() == {"orgs": [{"name": "A"}, {"name": "B"}]}
    again = gateway.request(
        "lincoln", "GET", "/orgs", transform="names", max_age=600, timeout=PATIENCE
    )
    assert (again.origin, again.json()) == ("stored", ["A", "B"])


def test_a_rule_that_fails_is_named(gateway: Gateway, sis: Sis) -> None:
    """The call was made, and its answer is kept."""
    sis.reply = lambda _: json_reply({"orgs": 5})
    with pytest.raises(TransformFailed) as failed:
        gateway.request("lincoln", "GET", "/users", timeout=PATIENCE)
    assert failed.value.detail["rule"] == "count"
    assert len(sis.asked) == 1
    with pytest.raises(UsageError, match="no transform"):
        gateway.enqueue_request("lincoln", "GET", "/orgs", transform="none")


def test_a_rule_is_tried_without_a_call(gateway: Gateway, sis: Sis) -> None:
    """With a response that is given."""
    request = NewRequest("lincoln", "GET", "/orgs", transform="names")
    trial = gateway.transforms.test(request, response=b'{"orgs": [{"name": "A"}]}')
    assert trial.request["query"] == {"limit": "2"}
    assert trial.response is not None
    assert trial.response.body == b'["A"]'
    with pytest.raises(UsageError, match="without being named"):
        gateway.transforms.test(NewRequest("lincoln", "GET", "/orgs"))
    assert sis.asked == []
    assert gateway.jobs.list() == []
