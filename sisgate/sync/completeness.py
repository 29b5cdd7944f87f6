"""Was a listing read completely? Pure: the facts of its pages in, a verdict out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sisgate.providers.dialect import Listing, Position
from sisgate.sync.pages import Edges, bridge

MAX_LOOKS = 3
"""How often a list that changes while being read is looked at again before we give up."""


@dataclass(frozen=True)
class PageFact:
    """What the ledger remembers of one page. `bridged` are the seams it was read to prove."""

    position: Position
    rows: int
    total: int | None
    edges: Edges
    bridged: bool | None = None
    seam: int | None = None


@dataclass(frozen=True)
class Bridge:
    """A page to read over a broken seam: it must hold a row of `before` and one of `after`."""

    position: Position
    seam: int
    before: tuple[str, ...]
    after: tuple[str, ...]

    def is_proof(self, ids: Collection[str]) -> bool:
        """Whether a page with these row ids closes the seam."""
        return any(i in ids for i in self.before) and any(i in ids for i in self.after)


@dataclass(frozen=True)
class Verdict:
    """Complete or not, and what to look at again.

    `complete`: every row that existed throughout the reading was received. `proven`: that holds
    by the seams of the pages; where False (page numbers, opaque links) it rests on counts alone,
    and deletions need a second look. What to read before judging again: `bridges` (each with the
    seam it is to prove), `extend` (pages past the end that was known), or `relook`, everything.
    """

    complete: bool
    proven: bool = False
    reason: str | None = None
    bridges: tuple[Bridge, ...] = ()
    extend: tuple[Position, ...] = ()
    relook: bool = False


def assess(listing: Listing, facts: Sequence[PageFact], total: int | None, looks: int) -> Verdict:
    """Judge a listing whose planned pages have all been read.

    `facts` are all pages, or those of the last look where pages cannot be told by row offset.
    `total` is the length last heard of, `looks` how often the listing has been read or mended.
    """
    pages = sorted((f for f in facts if f.seam is None), key=lambda f: f.position.start)
    if not pages:
        return Verdict(complete=False, reason="no page was read")
    if listing.paging == "single" or _is_whole_in_one(pages, total):
        return Verdict(complete=True, proven=True)
    if is_by_offset(listing, pages):
        bridges = [f for f in facts if f.seam is not None]
        return _by_seams(pages, bridges, total, looks)
    return _by_counts(pages, total, looks)


def is_by_offset(listing: Listing, pages: Sequence[PageFact]) -> bool:
    """Whether the pages were read by positions that we computed ourselves."""
    return listing.paging == "offset" and all(page.position.link is None for page in pages)


def _is_whole_in_one(pages: Sequence[PageFact], total: int | None) -> bool:
    rest_is_empty = all(page.rows == 0 for page in pages[1:])
    return rest_is_empty and (total is None or pages[0].rows >= total)


def _by_counts(pages: Sequence[PageFact], total: int | None, looks: int) -> Verdict:
    received = sum(page.rows for page in pages)
    totals = {page.total for page in pages if page.total is not None}
    if total is not None and received < total:
        reason = f"{received} of {total} rows came"
    elif len(totals) > 1:
        reason = f"the total changed from {min(totals)} to {max(totals)} on the way"
    else:
        return Verdict(complete=True, proven=False)
    return Verdict(complete=False, reason=reason, relook=looks < MAX_LOOKS)


def _by_seams(
    pages: Sequence[PageFact], proofs: Sequence[PageFact], total: int | None, looks: int
) -> Verdict:
    broken: list[Bridge] = []
    proven = True
    pages = [page for page in pages if page.rows] or pages[:1]
    for before, after in pairwise(pages):
        end = before.position.start + before.rows
        if after.position.start > end:
            return Verdict(False, reason=f"rows {end} to {after.position.start} never came")
        if after.position.start == end:
            proven = False
        elif not _is_closed(before, after, proofs):
            page = bridge(end, max(before.rows, after.rows), looks)
            broken.append(Bridge(page, after.position.start, before.edges.last, after.edges.first))
    if broken:
        retry = tuple(broken) if looks < MAX_LOOKS else ()
        return Verdict(False, reason="the list changed while it was read", bridges=retry)
    last = max(pages, key=lambda p: p.position.start + p.rows)
    end = last.position.start + last.rows
    if total is not None and end < total:
        more = Position(start=max(0, end - 1), size=last.position.size)
        reason = f"{end} of {total} rows came"
        return Verdict(False, reason=reason, extend=(more,) if looks < MAX_LOOKS else ())
    return Verdict(complete=True, proven=proven)


def _is_closed(before: PageFact, after: PageFact, proofs: Sequence[PageFact]) -> bool:
    if set(before.edges.last) & set(after.edges.first):
        return True
    return any(proof.seam == after.position.start and proof.bridged for proof in proofs)
