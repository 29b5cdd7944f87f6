"""What no line of a log may hold: secrets, queries of URLs, texts without end. Pure."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[hidden]"

MOST_CHARACTERS = 2_000
"""Of one text."""

MOST_OF_TRACEBACK = 8_000
MOST_ITEMS = 50
READ = 40_000
"""More of a text is not even looked at."""

SECRET_NAMES = frozenset(
    {
        "access_token", "api_key", "authorization", "client_secret", "cookie", "master_key",
        "passphrase", "password", "refresh_token", "secret", "set-cookie", "token",
    }
)  # fmt: skip
"""Fields whose values are never written."""

_NAMES = "|".join(sorted((re.escape(name) for name in SECRET_NAMES), key=len, reverse=True))
_PATTERNS = (
    # A token of ours, wherever it stands.
    (re.compile(r"\bsisgate_[0-9A-Za-z]{10}_[0-9A-Za-z]{20,}"), HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w+/=.~-]{6,}"), rf"\1 {HIDDEN}"),
    # `password=…`, `"client_secret": "…"`, `Authorization: …`
    (
        re.compile(rf"""(?i)\b({_NAMES})(["']?\s*=\s*["']?|["']\s*:\s*["']?)[^\s"'&,;}})]+"""),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"(?i)\b(authorization|(?:set-)?cookie)\s*:\s*\S[^\r\n]*"), rf"\1: {HIDDEN}"),
    # User and password of a URL; then its query, which names students and may hold a token.
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)[^\s/@\"']+@"), rf"\1{HIDDEN}@"),
    # Begun once a word, and without going back: else a long path would cost seconds.
    (re.compile(r"""(?<![^\s"'<>?])(?=[^\s"'<>?/]*+/)([^\s"'<>?]*+)\?[^\s"'<>]+"""), r"\1?…"),
    # What Python and pydantic quote: the value that was wrong.
    (re.compile(r"\b(KeyError|ValueError)(\(|: )[^\r\n]+"), r"\1\2…"),
    (re.compile(r"\binput_value=.*?(, input_type=|$)", re.MULTILINE), r"input_value=…\1"),
)


def redacted(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return a text without secrets and queries, and no longer than `most`.

    >>> redacted("GET https://ana:x@sis.test/students?last_name=Lovelace failed")
    'GET https://[hidden]@sis.test/students?… failed'
    >>> redacted("sent Authorization: Bearer abc.def"), redacted("client_secret=s3cret&a=1")
    ('sent Authorization: [hidden]', 'client_secret=[hidden]&a=1')
    >>> redacted("x" * 9, most=5)
    'xxxxx… (9 characters)'
    """
    size = len(text)
    if size > READ:
        # Both ends: a traceback tells what happened at its end.
        text = f"{text[: READ // 2]} … {text[-READ // 2 :]}"
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    if len(text) <= most:
        return text
    if most == MOST_OF_TRACEBACK:
        return f"{text[: most // 4]} … {text[-3 * most // 4 :]}"
    return f"{text[:most]}… ({size:,} characters)"


def safe(name: str, value: object) -> Any:
    """Return the value of a field as a log may hold it: plain, redacted and bounded.

    >>> safe("password", "x"), safe("calls", 3), safe("hosts", ["a", "b"])
    ('[hidden]', 3, ['a', 'b'])
    """
    if name.lower() in SECRET_NAMES and value is not None:
        return HIDDEN
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            most = MOST_OF_TRACEBACK if name == "exception" else MOST_CHARACTERS
            return redacted(value, most)
        case Mapping():
            items = list(value.items())[:MOST_ITEMS]
            return {str(key)[:100]: safe(str(key), each) for key, each in items}
        case list() | tuple() | set() | frozenset():
            return [safe("", each) for each in list(value)[:MOST_ITEMS]]
    return redacted(str(value))
