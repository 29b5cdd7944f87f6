"""What the end of a job means to whoever waits for its answer."""

from types import SimpleNamespace
from typing import Any

import pytest

from sisgate.domain.states import JobState
from sisgate.errors import InvalidState, JobExpired
from sisgate.gateway.answer import Answer
from sisgate.gateway.job_status import answer_if_ended

ANSWER = Answer("j", 404, {}, b"", truncated=False)


class Ending:
    """Jobs of which one ends between two looks."""

    def __init__(self, state: JobState, answer: Answer | None) -> None:
        self.state, self.stored, self.looks = state, answer, 0

    def answer(self, job_id: str, *, purpose: str | None = None) -> Answer:
        """Have none at the first look."""
        self.looks += 1
        if self.looks == 1 or self.stored is None:
            raise InvalidState(f"No response to job {job_id} is stored.")
        return self.stored

    def status(self, _: str) -> Any:
        """Have ended by now."""
        return SimpleNamespace(id="j", state=self.state, is_final=self.state.is_final, error=None)


def test_an_answer_that_came_between_two_looks_is_the_answer() -> None:
    """Whatever its status: one of 404 ends its job as failed."""
    for state in (JobState.DONE, JobState.FAILED):
        assert answer_if_ended(Ending(state, ANSWER), "j", None) is ANSWER


def test_without_one_it_is_said_why() -> None:
    """Or nothing, while it goes on."""
    assert answer_if_ended(Ending(JobState.RUNNING, ANSWER), "j", None) is None
    with pytest.raises(JobExpired):
        answer_if_ended(Ending(JobState.EXPIRED, None), "j", None)
    with pytest.raises(InvalidState):
        answer_if_ended(Ending(JobState.DONE, None), "j", None)
