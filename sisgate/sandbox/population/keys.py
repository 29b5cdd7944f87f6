"""The rows of one table as an ordered list of keys: computed at first, stored once it changes."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class StridedKeys:
    """`count` ascending keys by arithmetic: `per` in a row, then on to the next `stride`.

    The gaps are where inserted rows go, so that an insert shifts the pages behind it.

    >>> list(StridedKeys(5, per=2, stride=8))
    [8, 9, 16, 17, 24]
    """

    def __init__(self, count: int, *, per: int = 1, stride: int = 8) -> None:
        self.count, self.per, self.stride = count, per, stride

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, position: int) -> int:
        if not 0 <= position < self.count:
            raise IndexError(position)
        group, rest = divmod(position, self.per)
        return (group + 1) * self.stride + rest

    def __iter__(self) -> Iterator[int]:
        return iter(self.between(0, self.count))

    def between(self, start: int, stop: int) -> Iterable[int]:
        """Return the keys at the positions from `start` to before `stop`."""
        stop = min(stop, self.count)
        if self.per == 1:
            return range((start + 1) * self.stride, (stop + 1) * self.stride, self.stride)
        per, stride = self.per, self.stride
        return ((n // per + 1) * stride + n % per for n in range(start, stop))


class Touch(NamedTuple):
    """How often a row was updated (0: inserted only), and when it last changed."""

    version: int
    modified: str


class Table:
    """The keys of one table, ascending, and what changed since the start."""

    def __init__(self, name: str, base: StridedKeys) -> None:
        self.name = name
        self._base = base
        self._keys: StridedKeys | array[int] = base
        self.touched: dict[int, Touch] = {}
        self.marked: set[int] = set()
        """Rows deleted by `status` only: listed still, as `tobedeleted`."""
        self.revision = 0

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: int) -> bool:
        position = self.position(key)
        return position < len(self._keys) and self._keys[position] == key

    def position(self, key: int) -> int:
        """Return how many rows have a smaller key."""
        return bisect_left(self._keys, key)

    def at(self, position: int) -> int:
        """Return the key at a position. `IndexError` outside."""
        return self._keys[position]

    def between(self, start: int, stop: int) -> Iterable[int]:
        """Return the keys at the positions from `start` to before `stop`, cut to what exists."""
        keys = self._keys
        return keys.between(start, stop) if isinstance(keys, StridedKeys) else keys[start:stop]

    def span(self, low: int, high: int) -> tuple[int, int]:
        """Return the positions of the keys in `[low, high)` as start and stop."""
        return self.position(low), self.position(high)

    def version(self, key: int) -> int:
        """Return how often a row was updated."""
        touch = self.touched.get(key)
        return touch.version if touch is not None else 0

    def touch(self, keys: Iterable[int], modified: str) -> None:
        """Note an update of each row."""
        for key in keys:
            self.touched[key] = Touch(self.version(key) + 1, modified)
        self.revision += 1

    def remove(self, keys: Iterable[int], modified: str, *, mark: bool) -> None:
        """Delete rows: by `status` when `mark`, else without a trace."""
        gone = sorted(key for key in set(keys) if key in self)
        if mark:
            self.marked.update(gone)
            self.touch(gone, modified)
            return
        for key in gone:
            self.touched.pop(key, None)
            self.marked.discard(key)
        positions = [self.position(key) for key in gone]
        self._splice([(position, position + 1, None) for position in positions])

    def add(self, keys: Iterable[int], modified: str) -> None:
        """Insert rows at their places in the order."""
        new = sorted(key for key in set(keys) if key not in self)
        self._splice([(p, p, key) for key in new for p in (self.position(key),)])
        self.touched.update((key, Touch(0, modified)) for key in new)

    def restore(self) -> None:
        """Go back to the start."""
        self._keys = self._base
        self.touched.clear()
        self.marked.clear()
        self.revision += 1

    def _splice(self, edits: Sequence[tuple[int, int, int | None]]) -> None:
        """Rebuild the list in one pass: a copy per edit would be quadratic."""
        before = self._keys
        keys = array("q", before) if isinstance(before, StridedKeys) else before
        result: array[int] = array("q")
        done = 0
        for start, stop, key in edits:
            result.extend(keys[done:start])
            if key is not None:
                result.append(key)
            done = stop
        result.extend(keys[done:])
        self._keys = result
        self.revision += 1
