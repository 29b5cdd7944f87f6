"""Text files as editors really save them: with a byte order mark, in UTF-16, with CRLF."""

from __future__ import annotations

import codecs
from pathlib import Path

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""UTF-32 before UTF-16, whose mark its own begins with."""


def read_text(path: Path) -> str:
    """Return the text of a file, without a byte order mark and with LF as the end of lines.

    UTF-8, or what a byte order mark says. Raises `OSError`, and `ValueError` with what is wrong
    and no byte of the content where it is something else.
    """
    return decode_text(path.read_bytes())


def decode_text(content: bytes) -> str:
    r"""Return bytes as text, as `read_text` does.

    >>> decode_text(b"\xef\xbb\xbfone\r\ntwo"), decode_text("one".encode("utf-16"))
    ('one\ntwo', 'one')
    >>> decode_text("one".encode("utf-16-le"))
    Traceback (most recent call last):
    ...
    ValueError: it has NUL bytes (UTF-16 without a byte order mark?): save it as UTF-8
    >>> decode_text("one\nZoë".encode("latin-1"))
    Traceback (most recent call last):
    ...
    ValueError: line 2 is not UTF-8: save it as UTF-8
    """
    mark, encoding = next((each for each in _MARKS if content.startswith(each[0])), (b"", "utf-8"))
    body = content.removeprefix(mark) if encoding == "utf-8" else content
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        where = f"line {line} is" if encoding == "utf-8" else "it is"
        # The error of the decoder holds the content.
        raise ValueError(f"{where} not {encoding.upper()}: save it as UTF-8") from None
    if "\0" in text:
        raise ValueError("it has NUL bytes (UTF-16 without a byte order mark?): save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")
