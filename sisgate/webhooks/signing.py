"""Secrets and signatures of webhooks, as Standard Webhooks 1.0.0 has them (read 2026-11-29).

A message is signed with HMAC-SHA256 over its id, the time of the attempt and its body. While a
secret is being replaced, the former one signs too, so a receiver may change when it likes. One
that is replaced again in that time goes on signing until the end of both overlaps.
"""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

PREFIX = "whsec_"
SECRET_BYTES = 32
"""The specification asks for 24 to 64."""


def new_secret() -> SecretStr:
    """Return a secret of 256 random bits."""
    material = secrets.token_bytes(SECRET_BYTES)
    return SecretStr(PREFIX + base64.b64encode(material).decode())


MOST_FORMER = 2
"""Replaced secrets that may sign at a time."""


def joined(texts: Sequence[str]) -> str:
    """Return replaced secrets, newest first, as one text to seal.

    >>> joined(["whsec_c", joined(["whsec_b", "whsec_a"])])
    'whsec_c whsec_b'
    """
    secrets_in_order = [each for text in texts for each in parted(text)]
    return " ".join(secrets_in_order[:MOST_FORMER])


def parted(text: str) -> list[str]:
    """Return the secrets of such a text, or the one that it is."""
    return text.split(" ")


def secret_context(webhook_id: str) -> str:
    """Return the place that the sealed secrets of a webhook are bound to."""
    return f"webhooks/{webhook_id}"


def body_of(kind: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """Return the body of a message, the same at each attempt.

    >>> from datetime import UTC, datetime
    >>> body_of("job.ended", datetime(2026, 9, 1, tzinfo=UTC), {"job": "1"})
    b'{"type":"job.ended","timestamp":"2026-09-01T00:00:00+00:00","data":{"job":"1"}}'
    """
    ordered = {name: data[name] for name in sorted(data)}
    event = {"type": kind, "timestamp": at.astimezone(UTC).isoformat(), "data": ordered}
    return json.dumps(event, separators=(",", ":")).encode()


def signed_headers(
    message_id: str, at: datetime, body: bytes, keys: Sequence[SecretStr]
) -> dict[str, str]:
    """Return the headers by which a receiver verifies a message; each secret signs."""
    # Loaded here, because only workers have it.
    from standardwebhooks import Webhook as Signer

    signatures = [
        Signer(key.get_secret_value()).sign(message_id, at.astimezone(UTC), body.decode())
        for key in keys
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
