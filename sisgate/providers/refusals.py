"""What a provider says when it refuses: its words, code and request id, in whatever form.

Known forms: OneRoster's `imsx_…` fields (in a body or in `statusInfoSet`), OAuth 2's `error` and
`error_description`, PowerSchool's `message` and `errors` or `errorMessage`, and the HTML or plain
text of a proxy in front. An unknown form still gives a message, and nothing here ever raises.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from sisgate.errors import MESSAGE_LIMIT, AnswerInvalid
from sisgate.providers.dialect import HttpResponse, ProviderError

_READ_LIMIT = 8192
"""Characters of a body without JSON that are looked at."""

_REQUEST_ID_LIMIT = 100
_REQUEST_ID_HEADERS = ("x-request-id", "x-correlation-id", "request-id")
_MESSAGE_NAMES = ("imsx_description", "error_description", "errormessage", "message", "description")
_NOT_TEXT = re.compile(r"(?is)<(script|style|title)\b.*?</\1\s*>|<!--.*?-->")
_TITLE = re.compile(r"(?is)<title[^<>]*>([^<]*)")
_TAG = re.compile(r"<[^<>]*>")
_MISSING = re.compile(r"permission|privilege|insufficient|\bscopes?\b")
_EXPIRED = re.compile(r"token (?:has |is )?expired|expired (?:access )?token|invalid_token")


def read_refusal(response: HttpResponse) -> ProviderError:
    """Return the words of a refusal, at most `MESSAGE_LIMIT` characters. Never raises."""
    message, code = _said(response)
    return ProviderError(
        message=_cut(message, MESSAGE_LIMIT) or f"The provider answered {response.status}.",
        code=_cut(code, MESSAGE_LIMIT) if code else None,
        request_id=_request_id(response),
    )


def not_in_dialect(response: HttpResponse, what: str) -> AnswerInvalid:
    """Return the error of a 2xx that is no answer, with what the provider itself says in it.

    `what` is what is missing. Only what is an error's text by its place is quoted: a list of
    students in an unknown form has texts, too.
    """
    message, code = _said_in_place_of_an_answer(response)
    quoted = _cut(message, MESSAGE_LIMIT)
    said = f': "{quoted}"' if quoted else "."
    return AnswerInvalid(
        f"The provider answered {response.status} {what}{said}",
        status=response.status,
        provider_code=_cut(code, MESSAGE_LIMIT) if code else None,
        request_id=_request_id(response),
    )


def read_body(response: HttpResponse) -> Any:
    """Return a 2xx answer's JSON; `AnswerInvalid` where it is none or says that it failed."""
    try:
        body = response.json()
    except AnswerInvalid as error:
        kind = response.headers.get("content-type", "no content type")
        size = f"({kind}, {len(response.body)} bytes)"
        what = f"with a body that is not JSON {size}" if response.body else "without a body"
        raise not_in_dialect(response, what) from error
    if any(_has_failed(fields) for fields in _statuses(body)):
        raise not_in_dialect(response, "with a failure in the body")
    return body


def says_token_expired(response: HttpResponse) -> bool:
    """Whether the body's words of a 401 or 403 are those of an expired token."""
    if response.status not in (401, 403):
        return False
    refusal = read_refusal(response)
    return bool(_EXPIRED.search(f"{refusal.message} {refusal.code or ''}".lower()))


def says_permission_missing(error: ProviderError) -> bool:
    """Whether the words of a 401 are that the key may not do that, so that no new token helps."""
    return bool(_MISSING.search(f"{error.message} {error.code or ''}".lower()))


def _said(response: HttpResponse) -> tuple[str, str | None]:
    try:
        body = response.json()
    except AnswerInvalid:
        return _plain(response.text), None
    if isinstance(body, str):
        return _plain(body), None
    message, code = "", None
    for fields in _objects(body):
        message = message or _message(fields)
        code = code or _code(fields)
    return message, code


def _said_in_place_of_an_answer(response: HttpResponse) -> tuple[str, str | None]:
    try:
        body = response.json()
    except AnswerInvalid:
        is_page = "<html" in response.text[:_READ_LIMIT].lower()
        return (_plain(response.text) if is_page else ""), None
    message, code = "", None
    for fields in _statuses(body):
        message = message or _message(fields)
        code = code or _code(fields)
    return message, code


_STATUSES = ("error", "errors", "errormessage", "statusinfo", "statusinfoset", "fault")
_CODES = ("imsx_codeminor", "imsx_codeminorfield")


def _statuses(body: Any) -> Iterator[dict[str, Any]]:
    """The objects of a body that tell how a request went: itself, and what is named so in it."""
    level: list[Any] = [body]
    for _ in range(4):
        level = [row for each in level for row in (each if isinstance(each, list) else [each])][:20]
        objects = [{k.lower(): v for k, v in row.items()} for row in level if isinstance(row, dict)]
        yield from objects
        level = [
            fields[name] for fields in objects for name in _STATUSES + _CODES if name in fields
        ]
        if isinstance(body, list):
            return


def _has_failed(fields: dict[str, Any]) -> bool:
    major = fields.get("imsx_codemajor")
    return isinstance(major, str) and major.lower() in ("failure", "unsupported")


def _objects(body: Any) -> Iterator[dict[str, Any]]:
    """The objects of an error body that may hold its words, the outermost first, names lowered."""
    level: list[Any] = [body]
    for _ in range(4):
        level = [row for each in level for row in (each if isinstance(each, list) else [each])][:20]
        objects = [{k.lower(): v for k, v in row.items()} for row in level if isinstance(row, dict)]
        yield from objects
        level = [v for fields in objects for v in fields.values() if isinstance(v, dict | list)]


def _message(fields: dict[str, Any]) -> str:
    said = [fields[name] for name in _MESSAGE_NAMES if isinstance(fields.get(name), str)]
    said += [each for each in [fields.get("error")] if isinstance(each, str)]
    return next((_plain(each) for each in said if each.strip()), "")


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
    """Return `text` without tags. A page's title tells more than the page, so it goes first."""
    text = text[:_READ_LIMIT]
    if "<" not in text:
        return html.unescape(text)
    title = _TITLE.search(text)
    words = _TAG.sub(" ", _NOT_TEXT.sub(" ", text))
    return html.unescape(f"{title[1]}: {words}" if title else words)


def _cut(text: str, limit: int) -> str:
    """Return `text` on one line, printable, and cut to `limit` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:_READ_LIMIT]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _request_id(response: HttpResponse) -> str | None:
    for name in _REQUEST_ID_HEADERS:
        if value := _cut(response.headers.get(name, ""), _REQUEST_ID_LIMIT):
            return value
    return None
