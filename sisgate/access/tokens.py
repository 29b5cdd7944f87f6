"""Tokens: `sisgate_` + id + `_` + secret + checksum, and whom a stored one stands for.

The prefix lets scanners of repositories and logs recognise a leaked token, the id names it without
giving it away, and the checksum catches a mistyped token without a query. The format is that of
GitHub's tokens (read 2026-11-24 in GitHub's note on its token formats of 2021).
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import SecretStr

from sisgate.access.policy import Principal, Role, Scope
from sisgate.ledger.schema import AccessToken

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
    """A token as its owner holds it. Its repr shows no secret."""

    id: str
    value: SecretStr = field(repr=False)

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the token, which is what is stored.

        A slow hash would gain nothing: there is no dictionary of 256 random bits.
        """
        return hashlib.sha256(self.value.get_secret_value().encode()).digest()

    def matches(self, row: AccessToken | None) -> bool:
        """Whether a row is this token's. The time taken is the same if there is no row."""
        return hmac.compare_digest(self.digest, row.digest if row is not None else bytes(32))


def new_token() -> Token:
    """Return a token of 256 random bits."""
    token_id = "".join(secrets.choice(_DIGITS) for _ in range(ID_LENGTH))
    body = f"{PREFIX}_{token_id}_{_base62(secrets.randbits(256), SECRET_LENGTH)}"
    return Token(token_id, SecretStr(body + checksum(body)))


def read_token(text: str) -> Token | None:
    """Return the token that a text is, or None if it is truncated, mistyped or something else."""
    match = PATTERN.fullmatch(text)
    if match is None or checksum(text[:-CHECKSUM_LENGTH]) != match[3]:
        return None
    return Token(match[1], SecretStr(text))


def why_invalid(row: AccessToken, now: datetime) -> str | None:
    """Return why a token is no longer valid, or None. For the audit log, not for the caller."""
    if row.revoked_at is not None and row.revoked_at <= now:
        return "revoked"
    if row.expires_at is not None and row.expires_at <= now:
        return "expired"
    return None


def principal_of(row: AccessToken) -> Principal:
    """Return whom a token stands for. A role that this version does not know grants nothing."""
    roles = frozenset(Role(name) for name in row.roles if name in set(Role))
    return Principal(row.name, roles, tuple(map(Scope.parse, row.scopes)), token_id=row.id)


def checksum(body: str) -> str:
    """Return the CRC-32 of a token without its checksum.

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
