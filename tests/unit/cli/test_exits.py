"""Each kind of error has its exit code."""

import pytest

from sisgate import errors
from sisgate.cli.exits import ExitCode, exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UnknownProvider("x"), ExitCode.NOT_FOUND),
        (errors.IdempotencyConflict("x"), ExitCode.USAGE),
        (errors.ConfigurationError("x"), ExitCode.USAGE),
        (errors.DatabaseUnavailable("x"), ExitCode.UNAVAILABLE),
        (errors.BrokerUnavailable("x"), ExitCode.UNAVAILABLE),
        (errors.ProviderUnavailable("x"), ExitCode.TRY_AGAIN),
        (errors.BacklogFull("x", seconds=3), ExitCode.TRY_AGAIN),
        (errors.JobFailed("x"), ExitCode.FAILED),
        (errors.JobExpired("x"), ExitCode.TRY_AGAIN),
        (errors.TokenRefused("x"), ExitCode.FAILED),
        (errors.CredentialError("x"), ExitCode.USAGE),
    ],
)
def test_an_error_ends_with_the_code_of_its_kind(
    error: errors.SisgateError, code: ExitCode
) -> None:
    """What a script does next follows from the code."""
    assert exit_code(error) is code
