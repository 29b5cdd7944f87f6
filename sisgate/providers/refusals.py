"""What a provider says when it refuses: message, code and request id. Pure.

What it says decides what is done, and is then dropped: a message of ours keeps words of errors
only (`sisgate.domain.error_messages`), because a provider may name a student.

Known forms: OneRoster's `imsx_…` fields (in a body or in `statusInfoSet`), OAuth 2's `error` and
`error_description`, PowerSchool's `message` and `errors` or `errorMessage`, and the HTML or plain
text of a proxy in front. An unknown form still gives a message, and reading one never raises.
"""

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from sisgate.domain.error_messages import GAP, code_of_errors, words_of_errors
from sisgate.domain.response_class import ResponseClass
from sisgate.errors import MESSAGE_LIMIT, AnswerInvalid
from sisgate.providers.http import HttpResponse

_READ_LIMIT = 8192
"""How many characters of a body that is not JSON are read."""

_REQUEST_ID = re.compile(r"(?=[^0-9]*[0-9])[A-Za-z0-9._:/=+-]{1,100}")
_REQUEST_ID_HEADERS = ("x-request-id", "x-correlation-id", "request-id")
_MESSAGE_NAMES = ("imsx_description", "error_description", "errormessage", "message", "description")
_NOT_TEXT = re.compile(r"(?is)<(script|style|title)\b.*?</\1\s*>|<!--.*?-->")
_TITLE = re.compile(r"(?is)<title[^<>]*>([^<]*)")
_TAG = re.compile(r"<[^<>]*>")
_MISSING = re.compile(r"permission|privilege|insufficient|\bscopes?\b")
_EXPIRED = re.compile(r"token (?:has |is )?expired|expired (?:access )?token|invalid_token")


@dataclass(frozen=True)
class ProviderError:
    """What a provider says when it refuses, cut to a safe length; it may hold names."""

    message: str
    code: str | None = None
    request_id: str | None = None


def read_refusal(response: HttpResponse) -> ProviderError:
    """Return what a refusal says, at most `MESSAGE_LIMIT` characters. Never raises."""
    message, code = _said(response)
    return ProviderError(
        message=_cut(message, MESSAGE_LIMIT) or f"The provider answered {response.status}.",
        code=_cut(code, MESSAGE_LIMIT) if code else None,
        request_id=_request_id(response),
    )


def not_in_dialect(response: HttpResponse, what: str) -> AnswerInvalid:
    """Return the error of a 2xx that is no answer, with the words of errors in it.

    `what` is what is missing. Only what is an error's text by its place is looked at: a list of
    students in an unknown form has texts, too.
    """
    message, code = _said(response, in_place_of_answer=True)
    return AnswerInvalid(
        _with_words(f"The provider answered {response.status} {what}", message),
        status=response.status,
        provider_code=code_of_errors(code),
        request_id=_request_id(response),
    )


def read_body(response: HttpResponse) -> Any:
    """Return a 2xx response's JSON; `AnswerInvalid` if it is not JSON or reports a failure."""
    try:
        body = response.json()
    except AnswerInvalid as error:
        raise not_in_dialect(response, response.not_json) from error
    if any(_has_failed(fields) for fields in _statuses(body)):
        raise not_in_dialect(response, "with a failure in the body")
    return body


def says_token_expired(response: HttpResponse) -> bool:
    """Whether the body of a 401 or 403 says that the token has expired."""
    if response.status not in (401, 403):
        return False
    refusal = read_refusal(response)
    return bool(_EXPIRED.search(f"{refusal.message} {refusal.code or ''}".lower()))


def says_permission_missing(error: ProviderError) -> bool:
    """Whether a 401 says that the key lacks a permission, so that no new token helps."""
    return bool(_MISSING.search(f"{error.message} {error.code or ''}".lower()))


def _said(response: HttpResponse, *, in_place_of_answer: bool = False) -> tuple[str, str | None]:
    """Return message and code; of a 2xx only what is an error's text by its place."""
    try:
        body = response.json()
    except AnswerInvalid:
        is_page = "<html" in response.text[:_READ_LIMIT].lower()
        return (_plain(response.text) if is_page or not in_place_of_answer else ""), None
    if isinstance(body, str) and not in_place_of_answer:
        return _plain(body), None
    message, code = "", None
    for fields in _statuses(body) if in_place_of_answer else _objects(body):
        message = message or _message(fields)
        code = code or _code(fields)
    return message, code


_STATUSES = frozenset(
    [
        "error",
        "errors",
        "errormessage",
        "statusinfo",
        "statusinfoset",
        "fault",
        "imsx_codeminor",
        "imsx_codeminorfield",
    ]
)


def _statuses(body: Any) -> Iterator[dict[str, Any]]:
    """The objects of a body that say how a request went: itself, and what is named so in it."""
    return _objects(body, lambda name: name in _STATUSES and not isinstance(body, list))


def _objects(
    body: Any, leads_on: Callable[[str], bool] = lambda _: True
) -> Iterator[dict[str, Any]]:
    """The objects in a body, the outermost first, names lowered; `leads_on` chooses where to go."""
    level: list[Any] = [body]
    for _ in range(4):
        level = [row for each in level for row in (each if isinstance(each, list) else [each])][:20]
        objects = [{k.lower(): v for k, v in row.items()} for row in level if isinstance(row, dict)]
        yield from objects
        level = [
            value
            for fields in objects
            for name, value in fields.items()
            if isinstance(value, dict | list) and leads_on(name)
        ]


def _has_failed(fields: dict[str, Any]) -> bool:
    major = fields.get("imsx_codemajor")
    return isinstance(major, str) and major.lower() in ("failure", "unsupported")


def _message(fields: dict[str, Any]) -> str:
    texts = [fields[name] for name in _MESSAGE_NAMES if isinstance(fields.get(name), str)]
    texts += [each for each in [fields.get("error")] if isinstance(each, str)]
    return next((_plain(each) for each in texts if each.strip()), "")


def _code(fields: dict[str, Any]) -> str | None:
    names = ["imsx_codeminorfieldvalue", "code", "error_code"]
    if "error_description" in fields:
        names.append("error")
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
            return str(value)
    return None


def _plain(text: str) -> str:
    """Return `text` without tags, a page's informative title first."""
    text = text[:_READ_LIMIT]
    if "<" not in text:
        return html.unescape(text)
    title = _TITLE.search(text)
    content = _TAG.sub(" ", _NOT_TEXT.sub(" ", text))
    return html.unescape(f"{title[1]}: {content}" if title else content)


def _cut(text: str, limit: int) -> str:
    """Return `text` on one line, printable, and cut to `limit` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:_READ_LIMIT]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _request_id(response: HttpResponse) -> str | None:
    """Return the id that the provider gave the request, unless it could be a word."""
    for name in _REQUEST_ID_HEADERS:
        value = response.headers.get(name, "")
        if _REQUEST_ID.fullmatch(value):
            return value
    return None


@dataclass(frozen=True)
class ClassifiedResponse:
    """The class of a response, with a message for people unless it is a success."""

    response_class: ResponseClass
    message: str = ""
    provider_code: str | None = None
    request_id: str | None = None


def message_of(response: HttpResponse, refusal: ProviderError) -> str:
    """Return the message of a refusal: its status, and words of errors or where it redirects."""
    bare = f"The provider answered {response.status}"
    if 300 <= response.status < 400 and "location" in response.headers:
        where = _place_of(response.headers["location"], response.url)
        return (
            f"{bare} and redirects to {where}. Redirects are not followed, as they would carry "
            "the token elsewhere: correct the provider's url, or its base_path."
        )
    own = refusal.message == f"{bare}."
    return _with_words(bare, "" if own else refusal.message)


def _with_words(ours: str, theirs: str) -> str:
    """Return a message of ours with the words of errors in a provider's text, if it has any."""
    words = words_of_errors(_cut(theirs, MESSAGE_LIMIT))
    return f"{ours}: {words}" if words.strip(GAP) else f"{ours}."


def _place_of(location: str, asked: str) -> str:
    """Return where a Location leads, without path and query, which may echo the request."""
    try:
        asked_parts, parts = urlsplit(asked), urlsplit(urljoin(asked, location))
        port = f":{parts.port}" if parts.port else ""
        host = "".join(c for c in parts.hostname or "" if c.isprintable())[:100]
    except ValueError:
        return "an address that cannot be read"
    if (parts.scheme, parts.netloc) != (asked_parts.scheme, asked_parts.netloc):
        return f"{parts.scheme}://{host}{port}"
    if parts.path == f"{asked_parts.path}/":
        return "the same path with a slash at its end"
    return "another path of the same server"
