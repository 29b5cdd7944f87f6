"""A list that changes while a sync reads it: a model of the provider, and of the reading of it.

The reading plans with the product's own decisions and keeps in memory what the ledger would.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from sisgate.providers.dialect import Listing, Page, Paging, Position
from sisgate.sync.completeness import Bridge, CompletenessResult, PageFact, assess
from sisgate.sync.pages import Earlier, Edges, after_repeat, following, is_behind

Totals = Literal[
    "never", "always", "first", "later", "counted", "too high", "too low", "of the page"
]
Onward = Literal["silent", "more", "opaque"]
WINDOW = 10


@dataclass
class ChangingList:
    """Rows in one stable order. `always` are those that were never deleted."""

    length: int
    ids: list[str] = field(init=False)
    always: set[str] = field(init=False)
    made: int = field(init=False)

    def __post_init__(self) -> None:
        self.ids = [f"row-{n}" for n in range(self.length)]
        self.always, self.made = set(self.ids), self.length

    def delete(self, place: int, count: int) -> None:
        """Delete rows from a place on."""
        at = place % (len(self.ids) + 1)
        self.always.difference_update(self.ids[at : at + count])
        del self.ids[at : at + count]

    def insert(self, place: int, count: int) -> None:
        """Insert new rows at a place."""
        at = place % (len(self.ids) + 1)
        self.ids[at:at] = [f"row-{self.made + n}" for n in range(count)]
        self.made += count


@dataclass
class Server:
    """Answers a page of the list, the way it is set up."""

    rows: ChangingList
    cap: int
    totals: Totals = "always"
    onward: Onward = "silent"
    position: Callable[[int], int] = lambda start: start
    answered: int = 0
    whole: bool = False
    refuses_behind: bool = False
    ends_at: int | None = None

    def page(self, listing: Listing, position: Position) -> Page:
        """Return the page at a position, of the list as it is now."""
        size = min(position.size or self.cap, self.cap)
        start = position.start
        if listing.paging == "page":
            start = (position.page - 1) * size
        elif position.link is not None:
            start = int(position.link)
        start = self.position(start)
        if self.whole:
            start, size = 0, len(self.rows.ids)
        ids = self.rows.ids[start : start + size]
        if self.ends_at is not None and start + 1 >= self.ends_at:
            ids = []
        self.answered += 1
        more = start + size < len(self.rows.ids)
        link = str(start + len(ids)) if self.onward == "opaque" and more else None
        told = None if self.onward == "silent" else more
        return Page([], len(ids), ids, self._total(position, len(ids)), told, link)

    def _total(self, position: Position, received: int) -> int | None:
        first = position.start == 0 and position.page == 1
        if self.totals in {"never", "counted"} or (self.totals == "first" and not first):
            return None
        if self.totals == "later" and first:
            return None
        if self.totals == "of the page":
            return received
        off = {"too high": 7, "too low": -7}.get(self.totals, 0)
        return max(0, len(self.rows.ids) + off)


@dataclass
class Call:
    """One page to read. A bridge has the seam that it is to prove."""

    position: Position
    look: int
    bridge: Bridge | None = None


@dataclass
class Reading:
    """One sync's reading of a list, until a verdict."""

    server: Server
    paging: Paging = "offset"
    page_size: int | None = 20
    received: set[str] = field(default_factory=set)
    facts: list[PageFact] = field(default_factory=list)
    calls: int = 0
    looks: int = 1
    total: int | None = None

    def __post_init__(self) -> None:
        self.listing = Listing("list", "/list", paging=self.paging, page_size=self.page_size)
        self.waiting: list[Call] = []
        self._begin()

    def _begin(self) -> None:
        if self.server.totals == "counted":
            self.total = len(self.server.rows.ids)
            if self.total == 0:
                return
        self.waiting.append(Call(Position(size=self.page_size), self.looks))

    def begin(self, position: Position) -> None:
        """Read another page than those that follow from one another."""
        self.looks += 1
        self.waiting.append(Call(position, self.looks))

    def read_on(self, pick: int = 0) -> CompletenessResult | None:
        """Make one of the calls that wait; return the verdict once nothing waits."""
        while not self.waiting:
            verdict = assess(self.listing, self.facts, self.total, self.looks)
            if not self._read_again(verdict):
                return verdict
        call = self.waiting.pop(pick % min(WINDOW, len(self.waiting)))
        self._record(call, self.server.page(self.listing, call.position))
        return None

    def _record(self, call: Call, page: Page) -> None:
        self.calls += 1
        self.received.update(page.ids)
        behind = is_behind(call.position, self.total)
        is_refused = self.server.refuses_behind and not page.ids
        assert behind or not is_refused, "the sync would fail"
        was_known = self.total is not None
        self.total = self.total if page.total is None else page.total
        fact = PageFact(
            call.position,
            page.received,
            page.total,
            Edges.of(page.ids),
            call.look,
            page.more,
            refused=is_refused,
        )
        if call.bridge is not None:
            closed = call.bridge.is_proof(page)
            self.facts.append(replace(fact, bridged=closed, seam=call.bridge.seam))
            return
        new = following(self.listing, call.position, page, self.total, was_known=was_known)
        if new:
            others = after_repeat(self.listing, call.position, page, self._earlier(call.look))
            new = new if others is None else others
        self.waiting += [Call(position, call.look) for position in new]
        self.facts.append(fact)

    def _earlier(self, look: int) -> list[Earlier]:
        facts = [f for f in self.facts if f.pass_number == look and f.seam is None]
        pages = [Earlier(f.edges, f.rows) for f in facts]
        if not pages:
            return []
        return [
            pages[n] for n in sorted({0, len(pages) - 1, (1 << (len(pages).bit_length() - 1)) - 1})
        ]

    def _read_again(self, verdict: CompletenessResult) -> bool:
        if verdict.reread:
            self.looks += 1
            self._begin()
            return True
        new = [Call(bridge.position, self.looks + 1, bridge) for bridge in verdict.bridges]
        new += [Call(position, self.looks + 1) for position in verdict.extend]
        self.looks += bool(new)
        self.waiting += new
        return bool(new)
