"""Certificates of servers, and from when on their end is worth telling."""

import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

LONGEST_LEAD = timedelta(days=14)
"""How long before its end a certificate is told of."""

SHARE_OF_LIFE = 6
"""Short-lived ones are told of in the last sixth of their life: they are renewed in the third."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that a server showed; `place` is its host and port."""

    place: str
    begins_at: datetime
    ends_at: datetime

    @property
    def told_from(self) -> datetime:
        """From when on it is told that it ends.

        >>> of = datetime(2026, 1, 1, tzinfo=UTC)
        >>> str(Certificate("sis.test:443", of, of + timedelta(days=398)).told_from.date())
        '2027-01-20'
        >>> str(Certificate("sis.test:443", of, of + timedelta(days=6)).told_from.date())
        '2026-01-06'
        """
        return self.ends_at - min(LONGEST_LEAD, (self.ends_at - self.begins_at) / SHARE_OF_LIFE)


@dataclass(frozen=True, slots=True)
class EndingCertificate:
    """A certificate that ends soon: where, when, and when a connection last saw it."""

    place: str
    ends_at: datetime
    seen_at: datetime


NoteCertificate = Callable[[Certificate], None]
"""Takes note of the certificate of a new connection; raises nothing."""


def read_certificate(host: str, port: int, shown: Mapping[str, Any] | None) -> Certificate | None:
    """Return a certificate as `ssl` shows that of a connection; None without its times."""
    try:
        times = [
            ssl.cert_time_to_seconds((shown or {})[each]) for each in ("notBefore", "notAfter")
        ]
        begins, ends = (datetime.fromtimestamp(each, UTC) for each in times)
    except (KeyError, ValueError, OverflowError):
        return None
    return Certificate(f"{host}:{port}", begins, ends)


def places_of(urls: Iterable[str | None]) -> list[str]:
    """Return host and port of each URL that is reached by TLS, each once.

    >>> places_of(["https://Sis.test/api", "https://sis.test:8443", None, "http://sis.test"])
    ['sis.test:443', 'sis.test:8443']
    """
    parts = [urlsplit(each) for each in urls if each is not None]
    return list(
        dict.fromkeys(
            f"{each.hostname}:{each.port or 443}" for each in parts if each.scheme == "https"
        )
    )
