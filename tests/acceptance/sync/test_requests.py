"""A request is one call, in its turn, with the provider's own answer."""

import time

import pytest

from sisgate.errors import InvalidState, JobExpired, OutcomeUnknown
from testbed.stack import Stack

NAME = "powerschool"


def test_the_answer_is_the_providers(stack: Stack) -> None:
    """Status, body and type come as if it had been called directly, within two seconds."""
    stack.fresh(NAME)
    stack.gateway.request(NAME, "GET", "/ws/v1/district", timeout=30)
    answer = stack.gateway.request(NAME, "get", "/ws/v1/district")
    assert answer.status == 200
    assert "district" in answer.json()
    assert "json" in answer.headers["content-type"]


def test_no_answer_in_time_withdraws_the_call(sqlite_stack: Stack) -> None:
    """The wait ends in time, and the job is expired."""
    sqlite_stack.fresh(NAME, fail_next=[{"kind": "hang", "path": "district"}])
    begun = time.monotonic()
    with pytest.raises(JobExpired) as expired:
        sqlite_stack.gateway.request(NAME, "GET", "/ws/v1/district", timeout=1.0)
    assert time.monotonic() - begun < 10
    job = sqlite_stack.gateway.job(expired.value.detail["job"])
    assert job.status().state == "expired"
    with pytest.raises(InvalidState):
        job.answer()


def test_a_post_is_not_repeated_after_a_reset(sqlite_stack: Stack) -> None:
    """Whether it was carried out is unknown: that is said, and the provider saw one call."""
    sqlite_stack.fresh(NAME, fail_next=[{"kind": "reset", "path": "schema"}])
    before = sqlite_stack.sandbox.stats(NAME)["arrivals"]
    with pytest.raises(OutcomeUnknown) as failed:
        sqlite_stack.gateway.request(NAME, "POST", "/ws/schema/query/x", json={}, timeout=30)
    assert "not repeated" in str(failed.value)
    assert sqlite_stack.sandbox.stats(NAME)["arrivals"] == before + 1


def test_a_get_is_repeated_after_a_reset(sqlite_stack: Stack) -> None:
    """A safe method may be tried again."""
    sqlite_stack.fresh(NAME, fail_next=["reset"])
    answer = sqlite_stack.gateway.request(NAME, "GET", "/ws/v1/district", timeout=40)
    assert answer.status == 200


def test_an_answer_is_encrypted_at_rest(sqlite_stack: Stack) -> None:
    """No word of a stored answer stands in the database's files."""
    answer = sqlite_stack.gateway.request(NAME, "GET", "/ws/v1/district", timeout=30)
    word = answer.body[:40]
    assert len(word) == 40
    for path in sqlite_stack.folder.glob("ledger.sqlite3*"):
        assert word not in path.read_bytes(), path.name
