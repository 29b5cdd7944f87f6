"""Verifying OAuth 1.0a requests for real: HMAC-SHA256 or SHA1 over method, URL and parameters."""

from typing import Any

from oauthlib.oauth1 import (
    SIGNATURE_HMAC_SHA1,
    SIGNATURE_HMAC_SHA256,
    RequestValidator,
    SignatureOnlyEndpoint,
)

from sisgate.sandbox.tokens import TokenBook

TIMESTAMP_SECONDS = 600
MAX_NONCES = 1_000_000


class _Consumers(RequestValidator):
    """What oauthlib asks while it checks a signature."""

    def __init__(self, tokens: TokenBook) -> None:
        super().__init__()
        self._tokens = tokens
        self._seen: dict[tuple[str, str, str], None] = {}

    allowed_signature_methods = (SIGNATURE_HMAC_SHA256, SIGNATURE_HMAC_SHA1)
    enforce_ssl = False
    timestamp_lifetime = TIMESTAMP_SECONDS
    nonce_length = (8, 128)
    dummy_client = "sandbox-nobody"

    def check_client_key(self, client_key: str) -> bool:
        """Accept any key of a sane length: ours have hyphens, which oauthlib's default refuses."""
        return 1 <= len(client_key) <= 200

    def check_nonce(self, nonce: str) -> bool:
        """Accept any printable nonce of a sane length."""
        return 8 <= len(nonce) <= 128 and nonce.isprintable()

    def get_client_secret(self, client_key: str, request: Any) -> str:
        """Return the consumer's secret; a dummy keeps the time the same for unknown ones."""
        return self._tokens.secret_of(client_key) or "no-such-consumer"

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        """Return whether the consumer key is accepted."""
        return self._tokens.secret_of(client_key) is not None

    def validate_timestamp_and_nonce(
        self,
        client_key: str,
        timestamp: str,
        nonce: str,
        request: Any,
        request_token: str | None = None,
        access_token: str | None = None,
    ) -> bool:
        """Refuse a nonce that was seen before; oauthlib has checked the timestamp."""
        key = (client_key, timestamp, nonce)
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > MAX_NONCES:
            self._seen.pop(next(iter(self._seen)))
        return True


class OAuth1Verifier:
    """Judges signed requests against the credentials of a token book."""

    def __init__(self, tokens: TokenBook) -> None:
        self._endpoint = SignatureOnlyEndpoint(_Consumers(tokens))

    def accepts(self, method: str, url: str, authorization: str) -> bool:
        """Return whether the Authorization header signs this method and address, once."""
        try:
            valid, _ = self._endpoint.validate_request(
                url, http_method=method, body=None, headers={"Authorization": authorization}
            )
        except ValueError:
            # oauthlib raises on addresses and headers that it cannot parse.
            return False
        return bool(valid)
