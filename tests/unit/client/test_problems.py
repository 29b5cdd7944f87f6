"""A problem document becomes the error that it was."""

import pytest

from sisgate import errors
from sisgate.client.problems import BY_CODE, error_of
from sisgate.errors import ConfigurationError, DeferredError, SisgateError
from sisgate.problem_details import problem_of


@pytest.mark.parametrize("kind", BY_CODE.values(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_comes_back(kind: type[SisgateError]) -> None:
    """Its class, message, ids and numbers."""
    detail = {"job": "7", "provider": "lincoln", "status": 404}
    if issubclass(kind, DeferredError):
        error: SisgateError = kind("Not now.", seconds=2.5, **detail)
    else:
        error = kind("Not so.", **detail)
    back = error_of(problem_of(error, instance="/v1/jobs"))
    assert type(back) is kind
    assert back.as_dict() == error.as_dict()


def test_mistakes_of_a_configuration_are_not_said_twice() -> None:
    """They are in the message already."""
    error = ConfigurationError("It is wrong:", problems=["a: one", "b: two"])
    back = error_of({**problem_of(error), "problems": error.problems})
    assert isinstance(back, ConfigurationError)
    assert (str(back), back.problems) == (str(error), error.problems)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(503, errors.TransientError), (409, errors.UsageError), ("x", SisgateError)],
)
def test_a_code_of_a_newer_service_is_the_nearest_error(
    status: object, kind: type[SisgateError]
) -> None:
    """An app goes on as its base class says."""
    error = error_of({"code": "too_new", "status": status, "title": "Something new", "job": "7"})
    assert type(error) is kind
    assert (error.message, error.detail) == ("Something new", {"job": "7"})


def test_retry_after_is_the_wait_that_a_problem_lacks() -> None:
    """A proxy may have made it."""
    error = error_of({"code": "too_many_requests"}, 7.0)
    assert isinstance(error, DeferredError)
    assert error.seconds == 7.0
