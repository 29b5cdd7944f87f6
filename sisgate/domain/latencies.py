"""Latencies in buckets whose bounds never change, so that any two sketches can be added.

The buckets are those of DDSketch (Masson, Rim and Lee, VLDB 2019) with sixteen to a doubling; each
power of two, in milliseconds, is a bound. A quantile is off by at most `RELATIVE_ERROR`.
"""

import struct
from collections.abc import Iterable
from functools import cache
from math import ceil, floor, log2
from typing import Protocol, Self

BUCKETS_PER_DOUBLING = 16
RELATIVE_ERROR = (2 ** (1 / BUCKETS_PER_DOUBLING) - 1) / (2 ** (1 / BUCKETS_PER_DOUBLING) + 1)

SHORTEST_MS = 2.0**-4
LONGEST_MS = 2.0**30
"""What is shorter or longer, 0.06 ms or 12 days, counts as this."""

_LOWEST = round(BUCKETS_PER_DOUBLING * log2(SHORTEST_MS))
_VERSION = 1
_HEAD = struct.Struct("<Bd")


class Latencies(Protocol):
    """Latencies of which quantiles are known."""

    def quantile(self, share: float) -> float | None:
        """Return the latency (ms) that `share` of all don't exceed; None if it is not known."""


class LatencySketch:
    """How often each latency was seen, in milliseconds.

    >>> sketch = LatencySketch([10.0, 20.0, 30.0])
    >>> sketch.count, round(sketch.quantile(0.5))
    (3, 20)
    """

    __slots__ = ("_counts", "sum_ms")

    def __init__(self, latencies_ms: Iterable[float] = ()) -> None:
        self._counts: dict[int, int] = {}
        self.sum_ms = 0.0
        """All latencies together."""
        for latency in latencies_ms:
            self.add(latency)

    def add(self, latency_ms: float) -> None:
        """Count one latency. A negative one, from clocks that disagree, counts as none."""
        latency = min(max(latency_ms, SHORTEST_MS), LONGEST_MS)
        bucket = ceil(BUCKETS_PER_DOUBLING * log2(latency))
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.sum_ms += max(0.0, latency_ms)

    def merge(self, other: Self) -> None:
        """Count all that another one has counted."""
        counts = self._counts
        if counts:
            for bucket, count in other._counts.items():
                counts[bucket] = counts.get(bucket, 0) + count
        else:
            counts.update(other._counts)
        self.sum_ms += other.sum_ms

    @property
    def count(self) -> int:
        """How many latencies were counted."""
        return sum(self._counts.values())

    def quantile(self, share: float) -> float | None:
        """Return the latency (ms) that `share` of all don't exceed; None if there is none.

        The nearest rank: the smallest latency such that at least `share` of all are up to it.
        """
        rank = max(1, ceil(share * self.count))
        passed = 0
        for bucket in sorted(self._counts):
            passed += self._counts[bucket]
            if passed >= rank:
                upper = _upper(bucket)
                # The value that is equally far, relatively, from both bounds.
                return upper * (1 - RELATIVE_ERROR)
        return None

    def up_to(self, *bounds_ms: float) -> list[int]:
        """Return how many latencies don't exceed each of some ascending bounds (ms).

        Exact for powers of two; another bound is rounded down to the bound of a bucket.
        """
        numbers, passed, place = [], 0, 0
        buckets = sorted(self._counts.items())
        for last in _last_buckets(bounds_ms):
            while place < len(buckets) and buckets[place][0] <= last:
                passed += buckets[place][1]
                place += 1
            numbers.append(passed)
        return numbers

    def encode(self) -> bytes:
        """Return it as bytes: pairs of a step between buckets and a count, each a varint."""
        encoded = bytearray(_HEAD.pack(_VERSION, self.sum_ms))
        before = _LOWEST
        for bucket in sorted(self._counts):
            encoded += _varint(bucket - before) + _varint(self._counts[bucket])
            before = bucket
        return bytes(encoded)

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        """Return the sketch of bytes; `ValueError` if they are of a version not known here."""
        version, sum_ms = _HEAD.unpack_from(encoded)
        if version != _VERSION:
            raise ValueError(f"a latency sketch of version {version}")
        sketch = cls()
        sketch.sum_ms = sum_ms
        counts, bucket, step = sketch._counts, _LOWEST, -1
        number = shift = 0
        for byte in encoded[_HEAD.size :]:
            number |= (byte & 0x7F) << shift
            if byte & 0x80:
                shift += 7
                continue
            if step < 0:
                step = number
            else:
                bucket += step
                counts[bucket] = number
                step = -1
            number = shift = 0
        return sketch

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LatencySketch) and self._counts == other._counts

    def __hash__(self) -> int:
        return hash(frozenset(self._counts.items()))

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __repr__(self) -> str:
        return f"LatencySketch({self.count} latencies)"


@cache
def _last_buckets(bounds_ms: tuple[float, ...]) -> tuple[int, ...]:
    """Return for each bound the last bucket below it. There are few sets of bounds."""
    return tuple(floor(BUCKETS_PER_DOUBLING * log2(bound)) for bound in bounds_ms)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _upper(bucket: int) -> float:
    return float(2 ** (bucket / BUCKETS_PER_DOUBLING))
