"""Errors as HTTP answers them: the status of each, and its problem document (RFC 9457).

The web service and the middleware answer from this table alike.
"""

import math
from collections.abc import Mapping
from typing import Any

from sisgate import errors
from sisgate.errors import DeferredError, SisgateError

MEDIA_TYPE = "application/problem+json"

STATUSES: Mapping[type[SisgateError], int] = {
    SisgateError: 500,
    errors.TransientError: 503,
    errors.ProviderUnavailable: 502,
    errors.DeferredError: 503,
    errors.NoPermit: 429,
    errors.BacklogFull: 429,
    errors.TooManyRequests: 429,
    errors.PermanentError: 422,
    errors.ConfigurationError: 500,
    errors.UsageError: 422,
    errors.NotFound: 404,
    errors.IdempotencyConflict: 409,
    errors.InvalidState: 409,
    errors.ProviderRemoved: 410,
    errors.ConfigurationConflict: 409,
    errors.CursorTooOld: 410,
    errors.CursorAhead: 409,
    errors.CredentialError: 502,
    errors.MasterKeyMissing: 500,
    errors.SecretChanged: 500,
    errors.AccessDenied: 403,
    errors.NotAuthenticated: 401,
    errors.ProviderRefused: 502,
    errors.AuditError: 500,
    errors.AnswerInvalid: 502,
    errors.TransformFailed: 502,
    errors.JobFailed: 502,
    errors.JobCancelled: 409,
    errors.JobExpired: 504,
}
"""The HTTP status of each error; one that is missing has that of its nearest base class."""

TRANSIENT_SECONDS = 5
"""The Retry-After of an error that may be gone in a moment."""


def status_of(error: SisgateError) -> int:
    """Return the HTTP status of an error.

    >>> status_of(errors.UnknownJob("No job has that id.")), status_of(errors.AuditError(""))
    (404, 500)
    """
    return next(STATUSES[base] for base in type(error).__mro__ if base in STATUSES)


def type_of(code: str) -> str:
    """Return the `type` of the problem document of an error with this code.

    >>> type_of("unknown_job")
    'urn:sisgate:error:unknown_job'
    """
    return f"urn:sisgate:error:{code}"


def title_of(error: type[SisgateError]) -> str:
    """Return the short summary of a kind of error: the first sentence of its docstring.

    >>> title_of(errors.UnknownJob)
    'No job has that id'
    """
    return (error.__doc__ or error.__name__).strip().splitlines()[0].rstrip(".")


def problem_of(error: SisgateError, *, instance: str | None = None) -> dict[str, Any]:
    """Return the problem document of an error, JSON-ready.

    `instance` is the path of the request. `code`, and ids and numbers of the error, are extension
    members; those whose name RFC 9457 reserves are left out: `status` is always that of this
    response.

    >>> problem_of(errors.UnknownJob("No job has the id 7.", job="7"))["detail"]
    'No job has the id 7.'
    """
    reserved = {"type", "title", "status", "detail", "instance", "code"}
    extensions = {name: value for name, value in error.detail.items() if name not in reserved}
    if "status" in error.detail:
        extensions["provider_status"] = error.detail["status"]
    problem = {
        "type": type_of(error.code),
        "title": title_of(type(error)),
        "status": status_of(error),
        "detail": error.message,
        "instance": instance,
        "code": error.code,
    }
    return {name: value for name, value in problem.items() if value is not None} | extensions


def headers_of(error: SisgateError) -> dict[str, str]:
    """Return the headers that belong to an error: when to retry, how to authenticate.

    >>> headers_of(errors.BacklogFull("", seconds=2.2))
    {'Retry-After': '3'}
    """
    if isinstance(error, DeferredError):
        return {"Retry-After": str(max(1, math.ceil(error.seconds)))}
    if isinstance(error, errors.JobExpired) and "seconds" in error.detail:
        return {"Retry-After": str(max(1, math.ceil(error.detail["seconds"])))}
    if isinstance(error, errors.TransientError):
        return {"Retry-After": str(TRANSIENT_SECONDS)}
    if isinstance(error, errors.NotAuthenticated):
        return {"WWW-Authenticate": "Bearer"}
    return {}
