"""The time of an OAuth 1.0a signature is the fleet's, not that of the host that signs."""

from datetime import UTC, datetime

from requests import Request

from sisgate.credentials.keys import Credential
from sisgate.domain.secret import Secret
from sisgate.transport import oauth1

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)


def test_a_signature_has_the_time_it_is_given() -> None:
    """And another nonce each time, so a request may be signed again."""
    key = Credential("k", "lincoln", "client", Secret("secret"))
    auth = oauth1(key, "HMAC-SHA256", NOW)
    signed = [
        str(Request("GET", "https://sis.test/orgs", auth=auth).prepare().headers["Authorization"])
        for _ in range(2)
    ]
    assert all(f'oauth_timestamp="{int(NOW.timestamp())}"' in header for header in signed)
    assert signed[0] != signed[1]
