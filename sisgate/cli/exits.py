"""Exit codes, and the errors that they report."""

from enum import IntEnum

from sisgate.errors import (
    AccessDenied,
    BrokerUnavailable,
    ConfigurationError,
    CredentialError,
    DatabaseUnavailable,
    DeferredError,
    JobExpired,
    NotFound,
    ServiceUnavailable,
    SisgateError,
    TokenRefused,
    TransientError,
    UsageError,
)


class ExitCode(IntEnum):
    """Exit codes. 75 is EX_TEMPFAIL and 77 EX_NOPERM of sysexits.h, 130 is 128 + SIGINT."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNAVAILABLE = 4
    TRY_AGAIN = 75
    NO_PERMISSION = 77
    INTERRUPTED = 130


_BY_ERROR: tuple[tuple[type[SisgateError], ExitCode], ...] = (
    (NotFound, ExitCode.NOT_FOUND),
    (UsageError, ExitCode.USAGE),
    (AccessDenied, ExitCode.NO_PERMISSION),
    (ConfigurationError, ExitCode.USAGE),
    (TokenRefused, ExitCode.FAILED),
    (CredentialError, ExitCode.USAGE),
    (BrokerUnavailable, ExitCode.UNAVAILABLE),
    (DatabaseUnavailable, ExitCode.UNAVAILABLE),
    (ServiceUnavailable, ExitCode.UNAVAILABLE),
    (TransientError, ExitCode.TRY_AGAIN),
    (DeferredError, ExitCode.TRY_AGAIN),
    (JobExpired, ExitCode.TRY_AGAIN),
)


def exit_code(error: SisgateError) -> ExitCode:
    """Return the exit code of an error; `FAILED` if it has none of its own.

    >>> exit_code(NotFound("no such job")).value
    3
    >>> exit_code(SisgateError("odd")).value
    1
    """
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.FAILED)
