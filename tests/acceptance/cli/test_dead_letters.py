"""What an operator does about dead letters and unknown outcomes, by command, on a running stack."""

import pytest

from sisgate.errors import OutcomeUnknown
from testbed.stack import PATIENCE_SECONDS, Stack
from tests.acceptance.cli.operator import Operator

NAME = "slow_powerschool"


def test_dead_letters_are_listed_and_tried_again_in_bulk(
    sqlite_stack: Stack, operator: Operator
) -> None:
    """Two requests are given up after their 2 tries; one command brings both back, once."""
    sqlite_stack.fresh(NAME, fail_next=[{"status": 500, "path": "school"}] * 4)
    gateway = sqlite_stack.gateway
    dead = [gateway.enqueue_request(NAME, "GET", "/ws/v1/district/school").id for _ in range(2)]
    for job_id in dead:
        assert gateway.jobs.wait(job_id, PATIENCE_SECONDS).state == "failed"
    letters = operator.json("jobs", "list", "--dead", "--provider", NAME)
    assert {letter["id"] for letter in letters} == set(dead)
    assert {(letter["tries"], letter["lost_workers"]) for letter in letters} == {(2, 0)}
    assert "provider_refused" in operator("jobs", "list", "--dead")
    chosen = ("--dead", "--provider", NAME, "--error", "provider_refused", "--since", "1h")
    assert len(operator.json("jobs", "retry", *chosen, "--dry-run")) == 2
    assert "--yes" in operator("jobs", "retry", *chosen, code=2)
    made = operator.json("jobs", "retry", *chosen, "--yes")
    assert {pair["retry_of"] for pair in made} == set(dead)
    for pair in made:
        assert gateway.jobs.wait(pair["job"], PATIENCE_SECONDS).state == "done"
    assert operator.json("jobs", "retry", *chosen, "--yes") == []
    again = operator.json("jobs", "retry", dead[0])
    assert again[0]["job"] in {pair["job"] for pair in made}
    assert "was already retried as" in operator("jobs", "retry", dead[0])


def test_an_unknown_outcome_is_told_and_resolved(sqlite_stack: Stack, operator: Operator) -> None:
    """The app gets its own error; a person looks at the provider and says what became of it."""
    sqlite_stack.fresh(NAME, fail_next=[{"kind": "reset", "path": "schema"}])
    job = sqlite_stack.gateway.enqueue_request(NAME, "POST", "/ws/schema/query/x", json={})
    with pytest.raises(OutcomeUnknown, match="sisgate jobs resolve"):
        job.wait(PATIENCE_SECONDS)
    assert job.id in {found["id"] for found in operator.json("jobs", "list", "--state", "unknown")}
    assert "resolve" in operator("jobs", "retry", job.id, code=2)
    status = operator.json("jobs", "resolve", job.id, "--as", "done", "--reason", "seen there")
    assert (status["state"], status["error"]) == ("done", None)
    operator("jobs", "resolve", job.id, "--as", "failed", code=2)


@pytest.mark.parametrize(
    "words",
    [
        ("list", "--dead", "--state", "failed"),
        ("list", "--dead", "--since", "yesterday"),
        ("retry",),
        ("retry", "3f8a", "--dead"),
        ("retry", "--provider", NAME),
    ],
)
def test_what_cannot_be_meant_is_refused(operator: Operator, words: tuple[str, ...]) -> None:
    """Each with a sentence about what goes together."""
    assert "error: " in operator("jobs", *words, code=2)
