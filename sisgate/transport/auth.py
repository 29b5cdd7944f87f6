"""How a request proves who we are: a bearer token, or an OAuth 1.0a signature."""

from __future__ import annotations

import re
from datetime import datetime

from oauthlib.oauth1 import SIGNATURE_HMAC_SHA1, SIGNATURE_HMAC_SHA256
from requests import PreparedRequest
from requests.auth import AuthBase
from requests_oauthlib import OAuth1

from sisgate.credentials.keys import Credential
from sisgate.domain.secret import Secret
from sisgate.errors import CredentialError

__all__ = ["AuthBase", "Bearer", "oauth1", "static_bearer"]

_SENDABLE = re.compile(r"[\x21-\x7e]+")
_SIGNATURES = {"HMAC-SHA1": SIGNATURE_HMAC_SHA1, "HMAC-SHA256": SIGNATURE_HMAC_SHA256}


class Bearer(AuthBase):
    """Puts the token into the header as the request leaves. RFC 6750."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Authorise the request."""
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        return request


def static_bearer(key: Credential) -> AuthBase:
    """Send the key's secret itself, a token that never expires."""
    if not _SENDABLE.fullmatch(key.secret.get_secret_value()):
        raise CredentialError(
            f"The secret of {key.label} of {key.provider} cannot be sent as a bearer token: it has "
            "a space, a line break or a character that is not ASCII. Enter it again with "
            f"`sisgate keys add {key.provider}`.",
            provider=key.provider,
            key=key.id,
        )
    return Bearer(key.secret)


def oauth1(key: Credential, signature: str, now: datetime) -> AuthBase:
    """Sign with `HMAC-SHA256`, as most OneRoster 1.1 servers ask for, or `HMAC-SHA1`; RFC 5849.

    Servers refuse a signature whose time is minutes off, so `now` is the fleet's and no host's.
    """
    auth: AuthBase = OAuth1(
        key.client_id,
        key.secret.get_secret_value(),
        signature_method=_SIGNATURES[signature],
        timestamp=str(int(now.timestamp())),
    )
    return auth
