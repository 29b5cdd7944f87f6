"""How a request proves who we are: a bearer token, or an OAuth 1.0a signature."""

from __future__ import annotations

from requests import PreparedRequest
from requests.auth import AuthBase
from requests_oauthlib import OAuth1

from sisgate.credentials.keys import Credential
from sisgate.domain.secret import Secret

__all__ = ["AuthBase", "Bearer", "oauth1"]


class Bearer(AuthBase):
    """Puts the token into the header as the request leaves. RFC 6750."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Authorise the request."""
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        return request


def oauth1(key: Credential) -> AuthBase:
    """Sign with HMAC-SHA1 as OneRoster 1.1 servers ask for. RFC 5849."""
    auth: AuthBase = OAuth1(key.client_id, key.secret.get_secret_value())
    return auth
