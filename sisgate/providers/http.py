"""Requests and responses as values, and reading JSON so that it can be hashed, logged and stored.

The standard parser lets things through that break much later: `NaN` is no JSON for a database,
half a surrogate pair cannot be encoded, PostgreSQL refuses NUL in text, and a value nested almost
as deep as the stack can be parsed here and not be written there. One such value must not cost a
district its sync, so what can be read otherwise is.
"""

import codecs
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from functools import partial
from typing import Any

from sisgate.errors import AnswerInvalid

DEPTH_LIMIT = 32
"""How deep objects and lists may nest. OneRoster's own records need five levels."""

MOST_DIGITS = 400
"""The most digits of a whole number that is read as a number."""

LONG_NUMBER = b"0" * 19
"""Whole numbers of fewer digits fit into 64 bits."""

_DIGITS_ALIKE = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_NOT_STORABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_LATIN_1 = "iso8859-1"
_KNOWN_TYPE = re.compile(
    r"(?:application/(?:json|xml|pdf|octet-stream|problem\+(?:json|xml)|xhtml\+xml|javascript)"
    r"|text/(?:html|plain|xml|csv|javascript))(?=\s*(?:;|$))"
)
_SEVEN_BITS = ("iso2022", "utf-7", "hz")


def decode(body: bytes, charset: str | None = None, errors: str = "strict") -> str:
    """Return `body` as text; `ValueError` if it is not text, unless `errors` is `replace`.

    JSON is UTF-8 (RFC 8259), and valid UTF-8 with non-ASCII letters is hardly ever anything else,
    whatever the server declares; so `charset` decides only for invalid UTF-8 and for 7-bit
    encodings. What is declared as ISO-8859-1 is just as often Windows-1252.

    >>> decode("Núñez".encode("latin-1"), "ISO-8859-1"), decode("Núñez".encode(), "ISO-8859-1")
    ('Núñez', 'Núñez')
    """
    declared = _known(charset)
    unicode = json.detect_encoding(body)
    if declared is not None and declared.startswith(_SEVEN_BITS):
        return body.decode(declared, errors)
    try:
        return body.decode(unicode)
    except UnicodeDecodeError:
        if declared == _LATIN_1:
            try:
                return body.decode("cp1252")
            except UnicodeDecodeError:
                return body.decode(_LATIN_1)
        return body.decode(declared or unicode, errors)


def _known(charset: str | None) -> str | None:
    """Return the codec of a declared character encoding; None if it is not one for text."""
    try:
        b"".decode(charset or "")  # not every codec is for text
        return codecs.lookup(charset or "").name
    except (LookupError, ValueError):
        return None


def read_json(body: bytes, charset: str | None = None) -> Any:
    r"""Return `body` as JSON; `ValueError` if it is not JSON that we can store.

    NUL is removed from texts and half a surrogate pair becomes U+FFFD; unescaped line breaks and
    other control characters are allowed. `NaN` and `Infinity` become null, as in JavaScript, and a
    number out of range becomes the text of its digits. Nesting deeper than `DEPTH_LIMIT` is
    refused. `charset` is what the server declared, see `decode`.

    >>> read_json(rb'{"name": "A\u0000nn\ud800", "height": NaN, "weight": 1e999}')
    {'name': 'Ann�', 'height': None, 'weight': '1e999'}
    """
    is_plain, value = _read_plain(body, charset)
    text = None
    if not is_plain:
        text = decode(body, charset)
        try:
            value = _parse(text)
        except RecursionError as error:
            raise ValueError("nested too deep") from error
    if _deeper_than(value, DEPTH_LIMIT):
        raise ValueError("nested too deep")
    if text is None:
        return value
    # Two searches, since one for either would look at every character.
    is_storable = "\0" not in text and not _NOT_STORABLE.search(text)
    return value if is_storable else _storable(value)


def _read_plain(body: bytes, charset: str | None) -> tuple[bool, Any]:
    """Return whether orjson reads `body` as the standard library does, and what it reads.

    It is much faster and refuses all that needs a cure, with two exceptions: NUL in a text, and
    whole numbers above 64 bits, which it would make reals.
    """
    import orjson

    declared = _known(charset) if charset is not None else None
    if declared is not None and declared.startswith(_SEVEN_BITS):
        return False, None
    if b"\\u0000" in body or LONG_NUMBER in body.translate(_DIGITS_ALIKE):
        return False, None
    try:
        return True, orjson.loads(body)
    except orjson.JSONDecodeError:
        return False, None


def _parse(text: str) -> Any:
    read = partial(
        json.loads, text, parse_constant=lambda _: None, parse_float=_finite, strict=False
    )
    try:
        return read()
    except json.JSONDecodeError:
        raise
    except ValueError:  # a whole number of more digits than Python reads
        return read(parse_int=_whole)


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= MOST_DIGITS else text


_NESTING = (dict, list)


def _deeper_than(value: Any, levels: int) -> bool:
    """Whether `value` nests deeper than `levels`. Goes level by level, without recursion."""
    # What JSON gives is exactly these types, and a test of the type is the cheapest there is.
    level = [value] if type(value) in _NESTING else []
    for _ in range(levels):
        if not level:
            return False
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _NESTING
        ]
    return bool(level)


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        text = value.replace("\0", "")
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(each) for key, each in value.items()}
    return value


@dataclass(frozen=True)
class HttpRequest:
    """One request relative to an endpoint's base URL. `path` begins with `/`."""

    path: str
    query: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    json_body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    """Sent as it is, in place of `json_body`; its content type is among the headers."""


@dataclass(frozen=True)
class HttpResponse:
    """A response. Header names are lower case; `body` is decoded from its transfer encoding.

    `url` is the absolute URL of the request, so that a dialect can check whether a link in the
    response has the same origin. If it is empty, only links without an origin are followed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_seconds: float = 0.0
    url: str = ""

    def json(self) -> Any:
        """Return the body as JSON (see `read_json`); `AnswerInvalid` if it is not JSON."""
        try:
            return read_json(self.body, self.charset)
        except ValueError as error:
            raise AnswerInvalid(
                f"The provider answered {self.status} {self.not_json}.", status=self.status
            ) from error

    @property
    def not_json(self) -> str:
        """How to tell of this response that it is not JSON, without its own words."""
        if not self.body:
            return "without a body"
        declared = self.headers.get("content-type")
        known = _KNOWN_TYPE.match(declared.strip().lower()) if declared else None
        kind = "no content type" if declared is None else known[0] if known else "of another type"
        return f"with a body that is not JSON ({kind}, {len(self.body)} bytes)"

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people, such as a log-in, by its declared type.

        >>> HttpResponse(200, {"content-type": "Text/HTML; charset=utf-8"}, b"").is_page
        True
        """
        declared = self.headers.get("content-type", "").strip().lower()
        return declared.startswith(("text/html", "application/xhtml+xml"))

    @property
    def charset(self) -> str | None:
        """The character encoding declared by the content type, None without one."""
        message = Message()
        message["content-type"] = self.headers.get("content-type", "")
        return message.get_content_charset()

    @property
    def text(self) -> str:
        """The body as text; what cannot be decoded is replaced."""
        return decode(self.body, self.charset, errors="replace")
