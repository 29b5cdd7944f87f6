"""What is told of jobs that can no longer be followed."""

import pytest

from sisgate.cli.exits import exit_code
from sisgate.cli.following import accepting, going_on
from sisgate.cli.invocation import Invocation
from sisgate.errors import DatabaseUnavailable, ServiceUnavailable, SisgateError, TransientError

HERE = Invocation(url="https://sisgate.test")


def ended(error: SisgateError, *accepted: str) -> SisgateError:
    """Return what is raised where an error ends the block."""
    with pytest.raises(SisgateError) as caught, accepting(HERE, accepted, "provider:lincoln"):
        raise error
    return caught.value


def test_what_was_accepted_goes_on_whatever_goes_away() -> None:
    """The ledger here, or the service: a wait that ended, with the jobs to look at."""
    ledger = DatabaseUnavailable("It is away. Nothing was accepted.")
    for error in (ledger, ServiceUnavailable("It is away.")):
        one, two = ended(error, "3f8a0000-1"), ended(error, "a", "b")
        assert (exit_code(one), exit_code(two)) == (75, 75)
        assert "It is away. Job 3f8a0000-1 was accepted and continues: see `" in one.message
        assert "https://sisgate.test jobs show 3f8a0000`." in one.message
        assert "2 jobs were accepted and continue" in two.message
        assert "jobs list provider:lincoln`. They are a, b." in two.message
        assert two.detail["jobs"] == ["a", "b"]


def test_before_anything_was_accepted_an_outage_is_one() -> None:
    """Unless the order may have arrived, or the error names a job."""
    lost = ServiceUnavailable("It is away.")
    assert ended(lost) is lost
    assert exit_code(lost) == 4
    lost.was_sent = True
    assert exit_code(ended(lost)) == 75
    assert "may have been accepted" in ended(lost).message
    assert ended(DatabaseUnavailable("It is away.", job="j")).detail["jobs"] == ["j"]


def test_other_waits_end_alike() -> None:
    """For a message that a worker sends."""
    with pytest.raises(TransientError) as caught, going_on("It goes on."):
        raise ServiceUnavailable("It is away.")
    assert caught.value.message == "It is away. It goes on."
    assert exit_code(caught.value) == 75
