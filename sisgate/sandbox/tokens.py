"""The client credentials a district accepts and the tokens it has issued."""

import hashlib
import hmac
import secrets
from base64 import b64decode
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from sisgate.sandbox.spec import AcceptedCredential


class TokenState(Enum):
    """What a presented bearer token is."""

    VALID = "valid"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    ABSENT = "absent"


class Issued(NamedTuple):
    """One token and the monotonic time at which it ends."""

    token: str
    ends_at: float


class TokenBook:
    """Credentials and tokens of one district. `monotonic` gives the time in seconds.

    Several credentials are accepted at once, so that keys can be rotated without a gap:
    `accept` and `revoke` change the set while the server runs. Revoking ends the tokens.
    """

    def __init__(
        self, credentials: tuple[AcceptedCredential, ...], monotonic: Callable[[], float]
    ) -> None:
        self._secrets = {pair.client_id: pair.client_secret for pair in credentials}
        self._monotonic = monotonic
        self._tokens: dict[str, tuple[str, float]] = {}
        self._latest: dict[tuple[str, str], Issued] = {}
        self._ordered: dict[str, AcceptedCredential] = {}
        self.issued = 0

    def accept(self, credential: AcceptedCredential) -> None:
        """Accept one more client id and secret, or another secret for a known id."""
        self._secrets[credential.client_id] = credential.client_secret

    def rotate(self, name: str, order: str) -> AcceptedCredential:
        """Return a new pair that is accepted from now on; the same order gets the same again."""
        client_id = f"sandbox-{name}-{hashlib.sha256(order.encode()).hexdigest()[:12]}"
        if client_id not in self._ordered:
            pair = AcceptedCredential(client_id, secrets.token_urlsafe(24))
            self._ordered[client_id] = pair
            self.accept(pair)
        return self._ordered[client_id]

    @property
    def client_ids(self) -> list[str]:
        """The client ids that are accepted."""
        return sorted(self._secrets)

    def revoke(self, client_id: str) -> None:
        """Stop accepting a client id and its tokens."""
        self._secrets.pop(client_id, None)
        self._tokens = {t: o for t, o in self._tokens.items() if o[0] != client_id}
        self._latest = {k: i for k, i in self._latest.items() if k[0] != client_id}

    def secret_of(self, client_id: str) -> str | None:
        """Return the secret of a client id; None when it is not accepted."""
        return self._secrets.get(client_id)

    def knows(self, client_id: str, secret: str) -> bool:
        """Return whether the pair is accepted."""
        known = self._secrets.get(client_id)
        return known is not None and hmac.compare_digest(known.encode(), secret.encode())

    def issue(
        self, client_id: str, lifetime_seconds: float, *, scope: str = "", reuse: bool = False
    ) -> Issued:
        """Return a token; with `reuse` the client's last one while more than half of it is left."""
        now = self._monotonic()
        last = self._latest.get((client_id, scope))
        if reuse and last is not None and last.ends_at - now > lifetime_seconds / 2:
            return last
        self.issued += 1
        token = Issued(secrets.token_urlsafe(32), now + lifetime_seconds)
        self._tokens[token.token] = (client_id, token.ends_at)
        self._latest[client_id, scope] = token
        return token

    def expire_all(self) -> None:
        """End every token now."""
        now = self._monotonic()
        self._tokens = {token: (owner, now) for token, (owner, _) in self._tokens.items()}
        self._latest.clear()

    def state(self, authorization: str) -> TokenState:
        """Judge the value of an Authorization header."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return TokenState.ABSENT
        known = self._tokens.get(token.strip())
        if known is None:
            return TokenState.UNKNOWN
        return TokenState.VALID if self._monotonic() < known[1] else TokenState.EXPIRED


def basic_credential(authorization: str) -> AcceptedCredential | None:
    """Read an `Authorization: Basic` value; None when it is not one."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, secret = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return AcceptedCredential(client_id, secret) if colon else None
