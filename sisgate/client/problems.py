"""Problem documents (RFC 9457) of the service as the errors that they were. Pure."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from sisgate import errors
from sisgate.errors import ConfigurationError, DeferredError, SisgateError

_RESERVED = frozenset({"type", "title", "status", "detail", "instance", "code"})

BY_CODE: Mapping[str, type[SisgateError]] = {
    each.code: each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, SisgateError)
}
"""The errors of the tree by their codes."""


def error_of(problem: Mapping[str, Any], retry_after: float | None = None) -> SisgateError:
    """Return the error of a problem document, with its ids and numbers.

    One with a code of a newer version of the service is the nearest that its status says.

    >>> error = error_of({"code": "unknown_job", "detail": "No job has the id 7.", "job": "7"})
    >>> type(error).__name__, error.message, error.detail
    ('UnknownJob', 'No job has the id 7.', {'job': '7'})
    """
    detail = {
        name: value
        for name, value in problem.items()
        if name not in _RESERVED and value is not None
    }
    if "provider_status" in detail:
        detail["status"] = detail.pop("provider_status")
    message = str(problem.get("detail") or problem.get("title") or "The service gave no reason.")
    kind = BY_CODE.get(str(problem.get("code"))) or _by_status(problem.get("status"))
    if issubclass(kind, DeferredError):
        seconds = detail.pop("seconds", retry_after)
        return kind(message, seconds=float(1.0 if seconds is None else seconds), **detail)
    if issubclass(kind, ConfigurationError):
        problems = detail.pop("problems", [])
        error = kind(message, **detail)  # which has the problems in its message
        error.problems = list(problems)
        return error
    return kind(message, **detail)


def error_of_values(values: Mapping[str, Any]) -> SisgateError:
    """Return the error that has these values (`SisgateError.as_dict`)."""
    return error_of({**values, "detail": values["message"]} | {"message": None})


def _by_status(status: object) -> type[SisgateError]:
    if not isinstance(status, int) or not 400 <= status < 600:
        return SisgateError
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.TransientError
    return errors.UsageError
