"""Was a listing read completely? Pure: the facts of its pages in, a verdict out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from sisgate.providers.dialect import Listing, Page, Position
from sisgate.sync.pages import OVERLAP, Edges, bridge

MAX_PASSES = 3
"""How often a list that changes while being read is reread before we give up."""


@dataclass(frozen=True)
class PageFact:
    """What the ledger stores about one page.

    `total` and `more` are what this page itself reported; `refused`: there was no page. A bridge
    has the `seam` that it was read to prove and, as `bridged`, whether it did.
    """

    position: Position
    rows: int
    total: int | None = None
    edges: Edges = field(default_factory=Edges)
    pass_number: int = 1
    more: bool | None = None
    refused: bool = False
    bridged: bool | None = None
    seam: int | None = None

    @property
    def end(self) -> int:
        """The offset of the first row after the page."""
        return self.position.start + self.rows

    @property
    def is_beginning(self) -> bool:
        """Whether this page is the first of a pass."""
        return self.seam is None and self.position.start == 0 and self.position.page == 1


@dataclass(frozen=True)
class Bridge:
    """A page to read across a broken seam: it must hold a row of `before` and one of `after`.

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
class CompletenessResult:
    """Complete or not, and what to read again.

    `complete`: every row that existed throughout the reading was received. `proven`: the seams of
    the pages prove that; if False (page numbers, opaque links, small pages) it rests on counts
    alone, and deletions need a second pass. What to read before judging again: `bridges` (each with
    the seam it should prove), `extend` (missing pages), or `reread`, everything. `beyond` is the
    page that would prove the end of a complete list if only its total shows it.
    """

    complete: bool
    proven: bool = False
    reason: str | None = None
    bridges: tuple[Bridge, ...] = ()
    extend: tuple[Position, ...] = ()
    reread: bool = False
    beyond: Position | None = None


def assess(
    listing: Listing, facts: Sequence[PageFact], total: int | None, passes: int
) -> CompletenessResult:
    """Judge a listing whose planned pages have all been read.

    `facts` are its pages and bridges in the order of their planning, `total` is the length last
    reported, `passes` how often the listing has been read, in full or in part. Only the newest
    pass from the beginning counts.
    """
    newest = max((f.pass_number for f in facts if f.is_beginning), default=1)
    facts = [f for f in facts if f.pass_number >= newest]
    pages = sorted((f for f in facts if f.seam is None), key=lambda f: f.position.start)
    if not pages:
        # With a count of 0 the list is read; else the server withdrew what it offered.
        return CompletenessResult(total == 0, proven=total == 0, reason="no page was read")
    if listing.paging == "single":
        return CompletenessResult(complete=True, proven=True)
    if len(pages) > 1 and all(page.total in {None, page.rows} for page in pages):
        # Totals that count the rows of their page say nothing about the list.
        total = None if any(page.total is not None for page in pages) else total
        facts, pages = [_without_total(f) for f in facts], [_without_total(p) for p in pages]
    if _is_unchanging(pages, total):
        return CompletenessResult(complete=True)
    pages, has_echo = _without_echo(pages)
    if _has_repeat(pages):
        return CompletenessResult(
            False, reason="the provider returned the same page at different positions"
        )
    again = passes < MAX_PASSES
    if any(a.more and b.refused for a, b in pairwise(pages)):
        reason = "the provider announced a further page and refused it"
        return CompletenessResult(False, reason=reason, reread=again)
    if listing.paging == "offset" and all(page.position.link is None for page in pages):
        verdict = _by_seams(pages, [f for f in facts if f.seam is not None], total, passes, again)
    else:
        verdict = _by_counts(pages, total, again)
    if not verdict.complete or has_echo:
        return replace(verdict, proven=False)
    return replace(verdict, beyond=_beyond(listing, pages))


def _without_total(fact: PageFact) -> PageFact:
    return replace(fact, total=None)


def _is_unchanging(pages: Sequence[PageFact], total: int | None) -> bool:
    """Whether the server returned its whole list each time, ignoring position and size."""
    first, *others = pages
    if not others or first.rows == 0 or total not in {None, first.rows}:
        return False
    if any(
        (p.edges, p.rows) != (first.edges, first.rows) or p.more or p.position.link for p in pages
    ):
        return False
    if first.rows <= OVERLAP:
        return len(others) >= 2
    return any(p.position.size is not None and p.rows > p.position.size for p in pages)


def _without_echo(pages: Sequence[PageFact]) -> tuple[list[PageFact], bool]:
    """Drop repetitions of a short last page, returned for positions beyond it."""
    kept, longest = list(pages), max(page.rows for page in pages)
    while len(kept) > 2 and kept[-1].rows > OVERLAP:
        before, last = kept[-2:]
        if (before.edges, before.rows) != (last.edges, last.rows) or last.rows >= longest:
            break
        kept.pop()
    return kept, len(kept) < len(pages)


def _beyond(listing: Listing, pages: Sequence[PageFact]) -> Position | None:
    """Return the page to read to prove the end, None if the pages already do.

    A page shorter than another one, an empty page, or the server's statement proves the end. The
    total alone does not: if a server clamps the size and counts the page, the first page looks like
    a whole list. A separate count resource is reliable.
    """
    filled = [page for page in pages if page.rows]
    if not filled or listing.counted_by is not None or len(filled) < len(pages):
        return None
    last = max(filled, key=lambda page: (page.end, page.position.start))
    if last.more is False or last.position.link is not None:
        return None
    if last.rows < max(page.rows for page in filled):
        return None
    if listing.paging == "page":
        return replace(last.position, start=last.end, page=last.position.page + 1)
    return _onward(last)


def full_passes(facts: Sequence[PageFact]) -> int:
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


def _by_counts(pages: Sequence[PageFact], total: int | None, again: bool) -> CompletenessResult:
    shared = sum(len(set(a.edges.last) & set(b.edges.first)) for a, b in pairwise(pages))
    received = sum(page.rows for page in pages) - shared
    totals = {page.total for page in pages if page.total is not None}
    if len(totals) > 1:
        reason = f"the total changed from {min(totals)} to {max(totals)} on the way"
    elif total is not None and received < total:
        reason = f"{received} of {total} rows came"
    else:
        whole = len(pages) == 1 and pages[0].total in {None, received} and total in totals | {None}
        return CompletenessResult(complete=True, proven=whole)
    return CompletenessResult(complete=False, reason=reason, reread=again)


def _by_seams(
    pages: Sequence[PageFact],
    proofs: Sequence[PageFact],
    total: int | None,
    passes: int,
    again: bool,
) -> CompletenessResult:
    filled = [page for page in pages if page.rows]
    last = max(filled, key=lambda page: (page.end, page.position.start), default=pages[0])
    length = total if last.total is None else last.total
    gaps = [_onward(a) for a, b in pairwise(filled) if b.position.start > a.end]
    if gaps:
        reason = "some pages came shorter than before"
        return CompletenessResult(False, reason=reason, extend=tuple(gaps) if again else ())
    void = _overlapping_void(last, pages)
    if void is None and length is not None and last.end < length:
        reason = f"{last.end} of {length} rows came"
        return CompletenessResult(False, reason=reason, extend=(_onward(last),) if again else ())
    seams = [
        (a.end, Bridge(Position(), b.position.start, a.edges.last, b.edges.first))
        for a, b in pairwise(filled)
        if b.position.start < a.end and not _is_joined(a, b)
    ]
    if void is not None:
        seams.append((last.end, Bridge(Position(), void, last.edges.last, ())))
    size = max((page.rows for page in filled), default=1)
    bridges = tuple(
        replace(seam, position=bridge(end, size, passes))
        for end, seam in seams
        if not any(proof.seam == seam.seam and proof.bridged for proof in proofs)
    )
    if bridges:
        reason = "the list changed while it was read"
        return CompletenessResult(False, reason=reason, bridges=bridges if again else ())
    overlapped = all(b.position.start < a.end for a, b in pairwise(filled))
    # A total heard before the last page was read does not prove the end, nor does an empty page
    # that began where the last one ended.
    by_total, by_chain = last.total is not None, length is None and pages[-1].rows > 0
    return CompletenessResult(
        complete=True, proven=overlapped and (by_total or by_chain or void is not None)
    )


def _overlapping_void(last: PageFact, pages: Sequence[PageFact]) -> int | None:
    """Return where a page was empty though it began at a row that had been there."""
    empty = (page.position.start for page in pages if not page.rows)
    return next((start for start in empty if start < last.end), None)


def _onward(page: PageFact) -> Position:
    # A page of the overlap alone would show nothing: behind a single row nothing overlaps.
    start = page.end - OVERLAP if page.end > OVERLAP else page.end
    return Position(start=start, size=page.position.size)


def _is_joined(before: PageFact, after: PageFact) -> bool:
    return bool(set(before.edges.last) & set(after.edges.first))


def _in_order(wanted: Sequence[str], ids: Sequence[str]) -> bool:
    """Whether some of `wanted` are among `ids`, and in the same order."""
    places = {row_id: place for place, row_id in enumerate(ids)}
    order = [places[row_id] for row_id in wanted if row_id in places]
    return bool(order) and order == sorted(order)
