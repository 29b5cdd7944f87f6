"""The certificates that end soon, as the connections of workers see them."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from sisgate.clock import Clock
from sisgate.domain.certificates import Certificate, EndingCertificate
from sisgate.errors import BrokerUnavailable
from sisgate.redis.client import RedisClient
from sisgate.redis.keys import CERTIFICATES_ENDING

COUNTS_FOR = timedelta(days=7)
"""How long it counts what a connection has seen: the server may have another certificate since."""

NOTED_EVERY_SECONDS = 3600.0
"""How often a process notes the same certificate again."""


class CertificateWatch:
    """Notes for the fleet which certificates end soon; one for each process."""

    def __init__(self, redis: RedisClient, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock
        self._noted: dict[str, tuple[datetime, float]] = {}

    def note(self, seen: Certificate) -> None:
        """Note the certificate of a new connection, or that one is replaced."""
        at = self._clock.monotonic()
        ends_at, noted = self._noted.get(seen.place, (None, 0.0))
        if ends_at == seen.ends_at and at - noted < NOTED_EVERY_SECONDS:
            return
        key, now = CERTIFICATES_ENDING(), self._clock.now()
        with suppress(BrokerUnavailable):
            if seen.told_from <= now:
                times = f"{seen.ends_at.timestamp():.0f} {now.timestamp():.0f}"
                self._redis.hset(key, seen.place, times)
                self._redis.expire(key, int(COUNTS_FOR.total_seconds()))
            else:
                self._redis.hdel(key, seen.place)
            self._noted[seen.place] = seen.ends_at, at


def ending_certificates(redis: RedisClient, now: datetime) -> Mapping[str, EndingCertificate]:
    """Return by host and port the certificates that end soon; raises `BrokerUnavailable`.

    One that has ended is not among them: calls fail by it, which says more.
    """
    found = {}
    noted: Mapping[bytes, bytes] = redis.hgetall(CERTIFICATES_ENDING())  # type: ignore[assignment]  # not decoded
    for place, times in noted.items():
        ends_at, seen_at = (datetime.fromtimestamp(int(each), UTC) for each in times.split())
        if now < ends_at and now - seen_at < COUNTS_FOR:
            found[place.decode()] = EndingCertificate(place.decode(), ends_at, seen_at)
    return found
