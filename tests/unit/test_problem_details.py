"""Every error of the tree has a status and a problem document that gives nothing away."""

import pytest

from sisgate import errors
from sisgate.problem_details import STATUSES, headers_of, problem_of, status_of, title_of

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, errors.SisgateError)
]


def made(error: type[errors.SisgateError]) -> errors.SisgateError:
    """Return an error of this class."""
    if issubclass(error, errors.DeferredError):
        return error("It happened.", seconds=12.3, provider="lincoln")
    return error("It happened.", provider="lincoln")


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_has_a_problem_document(error: type[errors.SisgateError]) -> None:
    """Status and title come from the class, the detail from the message."""
    problem = problem_of(made(error), instance="/v1/jobs")
    assert problem["status"] == status_of(made(error))
    assert 400 <= problem["status"] < 600
    assert problem["type"].endswith(f":{error.code}")
    assert problem["title"] == title_of(error)
    assert problem["detail"] == "It happened."
    assert problem["instance"] == "/v1/jobs"
    assert problem["provider"] == "lincoln"


def test_what_must_be_corrected_is_no_server_error_and_what_passes_says_when() -> None:
    """Clients retry 5xx and 429, so a mistake of the caller may not be one."""
    for error in CLASSES:
        status, headers = status_of(made(error)), headers_of(made(error))
        if issubclass(error, errors.UsageError | errors.AccessDenied):
            assert 400 <= status < 500, error
        if issubclass(error, errors.DeferredError):
            assert headers == {"Retry-After": "13"}
        if issubclass(error, errors.TransientError):
            assert status in {502, 503}
            assert "Retry-After" in headers


def test_the_providers_status_does_not_replace_that_of_the_document() -> None:
    """RFC 9457: `status` is the status of this response."""
    problem = problem_of(errors.ProviderRefused("No.", status=404))
    assert problem["status"] == 502
    assert problem["provider_status"] == 404


def test_the_table_names_classes_of_the_tree_only() -> None:
    """A class that goes takes its line with it."""
    assert set(STATUSES) <= set(CLASSES)


def test_a_missing_master_key_is_our_fault_and_a_refused_key_the_providers() -> None:
    """502 says that the server behind us failed."""
    assert status_of(errors.MasterKeyMissing("There is no master key.")) == 500
    assert status_of(errors.SecretChanged("It was changed.")) == 500
    assert status_of(errors.TokenRefused("No.")) == 502
