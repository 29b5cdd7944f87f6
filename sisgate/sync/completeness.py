"""Was a listing read completely? Pure: the facts of its pages in, a verdict out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from sisgate.providers.dialect import Listing, Page, Position
from sisgate.sync.pages import OVERLAP, Edges, bridge

MAX_LOOKS = 3
"""How often a list that changes while being read is looked at again before we give up."""


@dataclass(frozen=True)
class PageFact:
    """What the ledger remembers of one page.

    `total` is what this very page said. A bridge has the `seam` that it was read to prove and,
    as `bridged`, whether it did.
    """

    position: Position
    rows: int
    total: int | None = None
    edges: Edges = field(default_factory=Edges)
    look: int = 1
    bridged: bool | None = None
    seam: int | None = None

    @property
    def end(self) -> int:
        """The offset of the first row after the page."""
        return self.position.start + self.rows

    @property
    def is_beginning(self) -> bool:
        """Whether this page began to read the list."""
        return self.seam is None and self.position.start == 0 and self.position.page == 1


@dataclass(frozen=True)
class Bridge:
    """A page to read over a broken seam: it must hold a row of `before` and one of `after`.

    With nothing in `after` the seam is the list's end: the page must reach it.
    """

    position: Position
    seam: int
    before: tuple[str, ...]
    after: tuple[str, ...]

    def is_proof(self, page: Page) -> bool:
        """Whether a page closes the seam."""
        if not _in_order(self.before, page.ids):
            return False
        if self.after:
            return _in_order(self.after, page.ids)
        if page.total is not None:
            return self.position.start + page.received >= page.total
        return page.received < (self.position.size or 0)


@dataclass(frozen=True)
class Verdict:
    """Complete or not, and what to look at again.

    `complete`: every row that existed throughout the reading was received. `proven`: that holds
    by the seams of the pages; where False (page numbers, opaque links, small pages) it rests on
    counts alone, and deletions need a second look. What to read before judging again: `bridges`
    (each with the seam it is to prove), `extend` (pages where none came), or `relook`, everything.
    """

    complete: bool
    proven: bool = False
    reason: str | None = None
    bridges: tuple[Bridge, ...] = ()
    extend: tuple[Position, ...] = ()
    relook: bool = False


def assess(listing: Listing, facts: Sequence[PageFact], total: int | None, looks: int) -> Verdict:
    """Judge a listing whose planned pages have all been read.

    `facts` are its pages and bridges in the order of their planning, `total` is the length last
    heard of, `looks` how often the listing has been read or mended. Only the newest reading from
    the beginning counts.
    """
    newest = max((f.look for f in facts if f.is_beginning), default=1)
    facts = [f for f in facts if f.look >= newest]
    pages = sorted((f for f in facts if f.seam is None), key=lambda f: f.position.start)
    if not pages:
        # A count of 0 is a list read; else the server took back what it offered.
        return Verdict(total == 0, proven=total == 0, reason="no page was read")
    if listing.paging == "single":
        return Verdict(complete=True, proven=True)
    if _has_repeat(pages):
        return Verdict(False, reason="the provider gave the same page at different positions")
    again = looks < MAX_LOOKS
    if listing.paging == "offset" and all(page.position.link is None for page in pages):
        return _by_seams(pages, [f for f in facts if f.seam is not None], total, looks, again)
    return _by_counts(pages, total, again)


def full_looks(facts: Sequence[PageFact]) -> int:
    """Return how often the list was read from its beginning."""
    return sum(fact.is_beginning for fact in facts)


def _has_repeat(pages: Sequence[PageFact]) -> bool:
    # A server that ignores the position gives its first page for all of them.
    seen: dict[tuple[Edges, int], Position] = {}
    return any(
        page.rows > OVERLAP
        and seen.setdefault((page.edges, page.rows), page.position) != page.position
        for page in pages
    )


def _by_counts(pages: Sequence[PageFact], total: int | None, again: bool) -> Verdict:
    received = sum(page.rows for page in pages)
    totals = {page.total for page in pages if page.total is not None}
    if len(totals) > 1:
        reason = f"the total changed from {min(totals)} to {max(totals)} on the way"
    elif total is not None and received < total:
        reason = f"{received} of {total} rows came"
    else:
        whole = len(pages) == 1 and pages[0].total in {None, received} and total in totals | {None}
        return Verdict(complete=True, proven=whole)
    return Verdict(complete=False, reason=reason, relook=again)


def _by_seams(
    pages: Sequence[PageFact],
    proofs: Sequence[PageFact],
    total: int | None,
    looks: int,
    again: bool,
) -> Verdict:
    filled = [page for page in pages if page.rows]
    last = max(filled, key=lambda page: (page.end, page.position.start), default=pages[0])
    told = total if last.total is None else last.total
    gaps = [_onward(a) for a, b in pairwise(filled) if b.position.start > a.end]
    if gaps:
        reason = "some pages came shorter than before"
        return Verdict(False, reason=reason, extend=tuple(gaps) if again else ())
    void = _overlapping_void(last, pages)
    if void is None and told is not None and last.end < told:
        reason = f"{last.end} of {told} rows came"
        return Verdict(False, reason=reason, extend=(_onward(last),) if again else ())
    seams = [
        (a.end, Bridge(Position(), b.position.start, a.edges.last, b.edges.first))
        for a, b in pairwise(filled)
        if b.position.start < a.end and not _is_joined(a, b)
    ]
    if void is not None:
        seams.append((last.end, Bridge(Position(), void, last.edges.last, ())))
    size = max((page.rows for page in filled), default=1)
    bridges = tuple(
        replace(seam, position=bridge(end, size, looks))
        for end, seam in seams
        if not any(proof.seam == seam.seam and proof.bridged for proof in proofs)
    )
    if bridges:
        reason = "the list changed while it was read"
        return Verdict(False, reason=reason, bridges=bridges if again else ())
    overlapped = all(b.position.start < a.end for a, b in pairwise(filled))
    # A total heard before the last page was read does not prove the end, nor does an empty page
    # that began where the last one ended.
    by_total, by_chain = last.total is not None, told is None and pages[-1].rows > 0
    return Verdict(complete=True, proven=overlapped and (by_total or by_chain or void is not None))


def _overlapping_void(last: PageFact, pages: Sequence[PageFact]) -> int | None:
    """Return where a page was empty though it began at a row that had been there."""
    empty = (page.position.start for page in pages if not page.rows)
    return next((start for start in empty if start < last.end), None)


def _onward(page: PageFact) -> Position:
    return Position(start=max(0, page.end - OVERLAP), size=page.position.size)


def _is_joined(before: PageFact, after: PageFact) -> bool:
    return bool(set(before.edges.last) & set(after.edges.first))


def _in_order(wanted: Sequence[str], ids: Sequence[str]) -> bool:
    """Whether some of `wanted` are among `ids`, and in the same order."""
    places = {row_id: place for place, row_id in enumerate(ids)}
    found = [places[row_id] for row_id in wanted if row_id in places]
    return bool(found) and found == sorted(found)
