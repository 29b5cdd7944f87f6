"""What the caller of an intercepted request gets: the provider's answer, a job, or a problem."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urljoin, urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import Response

from sisgate import errors
from sisgate.domain.headers import is_passed_on, named_in_connection
from sisgate.errors import AnswerInvalid, SisgateError
from sisgate.gateway import Answer, JobStatus
from sisgate.logs import get_logger
from sisgate.problem_details import MEDIA_TYPE, headers_of, problem_of, title_of

log = get_logger()

JOB_HEADER = "X-SIS-Job"
CACHE = "sisgate"
"""Our name in Cache-Status (RFC 9211)."""

_OPERATORS = (
    errors.ConfigurationError,
    errors.CredentialError,
    errors.AuditError,
    errors.DatabaseUnavailable,
    errors.ServiceUnavailable,
    errors.BrokerUnavailable,
)
"""Errors whose message is for the operator: it may name hosts and files."""

_LINK = re.compile(r"<([^<>]*)>")

_MARKUP = re.compile("html|xml", re.IGNORECASE)
"""In the types of what a browser may run; SVG is `image/svg+xml`."""

PathHere = Callable[[str], str]
"""Returns the path in this app of a path at the provider."""


def of_answer(
    answer: Answer, endpoints: Iterable[str], path_here: PathHere, asked: str | None = None
) -> Response:
    """Return the provider's answer as if the app had given it.

    `endpoints` are the provider's base URLs: links and locations that lead there lead here instead.
    `asked` is the path at the provider, where it is known: relative ones begin there.
    An answer that was cut when it was stored raises `AnswerInvalid`.
    """
    if answer.truncated:
        raise AnswerInvalid(
            "The provider's answer is larger than response_max_bytes, so it was not kept whole. "
            "Raise that setting, or ask for less at a time.",
            is_final=True,
            job=answer.job_id,
        )
    here = partial(_here, endpoints=list(endpoints), path_here=path_here, asked=asked)
    headers = _guarded({JOB_HEADER: answer.job_id} | _passed_on(answer.headers, here))
    if answer.origin == "stored":
        headers["Age"] = str(math.floor(answer.age_seconds or 0.0))
        headers["Cache-Status"] = f"{CACHE}; hit{'; detail=stale' if answer.is_stale else ''}"
    elif answer.origin == "shared":
        headers["Cache-Status"] = f"{CACHE}; fwd=miss; collapsed"
    return Response(answer.body, answer.status, headers)


def _guarded(headers: dict[str, str]) -> dict[str, str]:
    """Return headers with which an answer does no harm in a browser, as a page of the app's origin.

    A page of the provider, or what it quotes of a request, must not run with the app's cookies, and
    no cache may keep what the provider gave for the app's own key, unless the provider says so.
    """
    if "cache-control" not in headers:
        is_tagged = not {"etag", "last-modified"}.isdisjoint(headers)
        headers["cache-control"] = "private, no-cache" if is_tagged else "no-store"
    if _MARKUP.search(headers.get("content-type", "")):
        headers["content-security-policy"] = "default-src 'none'; sandbox"
    return {**headers, "x-content-type-options": "nosniff"}


def _passed_on(headers: Mapping[str, str], here_of: Callable[[str], str | None]) -> dict[str, str]:
    connection = named_in_connection(
        value for name, value in headers.items() if name.lower() == "connection"
    )
    kept: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower in connection or not is_passed_on(lower) or not _is_sendable(value):
            continue
        if lower == "location":
            here = here_of(value)
            if here is not None:
                kept[lower] = here
        elif lower == "link":
            kept[lower] = _LINK.sub(lambda link: f"<{here_of(link[1]) or link[1]}>", value)
        else:
            kept[lower] = value
    return kept


def _is_sendable(value: str) -> bool:
    return value.isprintable() and all(ord(c) < 256 for c in value)


def _here(
    url: str, endpoints: list[str], path_here: PathHere, asked: str | None = None
) -> str | None:
    """Return where a URL of the provider leads in this app; None if it leads elsewhere.

    >>> _here("https://sis.test/base/a?b=1", ["https://sis.test/base"], "/sis/lincoln{}".format)
    '/sis/lincoln/a?b=1'
    >>> _here("/base/a", ["https://sis.test/base"], "/sis/lincoln{}".format)
    '/sis/lincoln/a'
    >>> _here("7?a=b", ["https://sis.test/base"], "/sis/lincoln{}".format, "/orgs/5")
    '/sis/lincoln/orgs/7?a=b'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    for endpoint in map(urlsplit, endpoints):
        is_same = not parts.netloc or (
            (parts.scheme, parts.netloc) == (endpoint.scheme, endpoint.netloc)
        )
        base = endpoint.path.rstrip("/")
        path = parts.path
        if asked is not None and not parts.netloc and not parts.scheme:
            path = urljoin(f"{base}{asked}", path)
        if is_same and path.startswith(f"{base}/"):
            query = f"?{parts.query}" if parts.query else ""
            return f"{path_here(path.removeprefix(base))}{query}"
    return None


def of_job(status: JobStatus, location: str, retry_after: float) -> Response:
    """Return 202 for a job that has not ended: where it is, and when to look again."""
    body = {"job": status.id, "state": status.state.value, "location": location}
    return Response(
        json.dumps(body),
        202,
        {
            JOB_HEADER: status.id,
            "Location": location,
            "Retry-After": str(max(1, math.ceil(retry_after))),
            "Cache-Control": "no-store",
        },
        "application/json",
    )


def of_error(error: SisgateError, instance: str) -> Response:
    """Return the problem document of an error.

    What only an operator can use, such as the host of a database, is logged and not shown.
    """
    problem = problem_of(error, instance=instance)
    if isinstance(error, errors.UnknownProvider):
        # The message names those that are configured, and the file.
        problem["detail"] = "No such provider is served here."
    if isinstance(error, _OPERATORS):
        log.error(
            "sis_request_failed", code=error.code, reason=error.message, job=error.detail.get("job")
        )
        shown = ("type", "title", "status", "instance", "code", "job")
        problem = {name: problem[name] for name in shown if name in problem}
        problem["detail"] = f"{title_of(type(error))}. The log of the app says more."
    return of_problem(problem, headers_of(error))


def of_refusal(refusal: HTTPException, instance: str) -> Response:
    """Return what the app's own decision raised."""
    problem = {
        "type": "about:blank", "title": "The app refuses this request",
        "status": refusal.status_code, "detail": refusal.detail, "instance": instance,
    }  # fmt: skip
    return of_problem(problem, refusal.headers or {})


def not_allowed(instance: str) -> Response:
    """Return 405: the place of a job can only be read, and a DELETE there cancels nothing."""
    return of_refusal(HTTPException(405, headers={"Allow": "GET, HEAD"}), instance)


def of_problem(problem: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    """Return a problem document."""
    named = {**headers, "Cache-Control": "no-store"}
    return Response(json.dumps(problem), problem["status"], named, MEDIA_TYPE)
