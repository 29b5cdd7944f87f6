"""What a token looks like: `sisgate_` + id + `_` + secret + checksum.

The prefix lets scanners of repositories and logs recognise a leaked token, the id names it without
giving it away, and the checksum tells a mistyped token without a look into the database. The form
is that of GitHub's tokens (read 2026-11-24 in GitHub's note on its token formats of 2021).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

from pydantic import SecretStr

PREFIX = "sisgate"
ID_LENGTH = 10
SECRET_LENGTH = 43
"""Characters of base 62 for 256 bits."""
CHECKSUM_LENGTH = 6

PATTERN = re.compile(
    rf"{PREFIX}_([0-9A-Za-z]{{{ID_LENGTH}}})_"
    rf"([0-9A-Za-z]{{{SECRET_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase


@dataclass(frozen=True)
class Token:
    """A token as its owner has it. Its repr shows no secret."""

    id: str
    value: SecretStr = field(repr=False)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the token: what is stored.

        A slow hash would gain nothing: there is no dictionary of 256 random bits.
        """
        return hashlib.sha256(self.value.get_secret_value().encode()).digest()


def new_token() -> Token:
    """Return a token of 256 random bits."""
    token_id = "".join(secrets.choice(_DIGITS) for _ in range(ID_LENGTH))
    body = f"{PREFIX}_{token_id}_{_base62(secrets.randbits(256), SECRET_LENGTH)}"
    return Token(token_id, SecretStr(body + checksum(body)))


def read_token(text: str) -> Token | None:
    """Return the token that a text is, or None: cut, mistyped, or something else altogether."""
    found = PATTERN.fullmatch(text)
    if found is None or checksum(text[:-CHECKSUM_LENGTH]) != found[3]:
        return None
    return Token(found[1], SecretStr(text))


def checksum(body: str) -> str:
    """Return the CRC-32 of what stands before it.

    >>> checksum("sisgate_0_0")
    '26TZoU'
    """
    return _base62(zlib.crc32(body.encode()), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits
