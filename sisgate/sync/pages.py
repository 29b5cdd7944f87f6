"""Which pages of a listing to read next. Pure: facts in, positions out.

Consecutive pages read by row offset overlap by one row. A list that shifts while it is read (a
row before the seam is deleted or inserted) then shows itself: the last row of one page is no
longer the first row of the next. Proof that no record is lost: rows come in one stable order; if
page k ends with row r and page k+1 contains r, every row after r at the time of page k is still
after r, hence in page k+1 or later. Where the seam is broken, a bridge page over it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sisgate.errors import AnswerInvalid
from sisgate.providers.dialect import Listing, Page, Position

OVERLAP = 1
"""Rows that one page shares with the next, for the check of the seam."""

MIN_OVERLAPPED_SIZE = 10
"""Pages smaller than this don't overlap: it would cost more than it proves."""

EDGE = 3
"""Row ids remembered at each end of a page. Several, for one of them may be deleted."""


@dataclass(frozen=True)
class Edges:
    """The first and last row ids of a page, in order."""

    first: tuple[str, ...]
    last: tuple[str, ...]

    @classmethod
    def of(cls, ids: Sequence[str]) -> Edges:
        """Return the edges of a page's row ids."""
        return cls(tuple(ids[:EDGE]), tuple(ids[-EDGE:]))


@dataclass(frozen=True)
class Earlier:
    """The page before this one in the chain, to notice a server that gives it again."""

    edges: Edges
    rows: int


def overlap_of(listing: Listing, size: int | None) -> int:
    """Return how many rows consecutive pages of this size share."""
    overlaps = listing.paging == "offset" and size is not None and size >= MIN_OVERLAPPED_SIZE
    return OVERLAP if overlaps else 0


def following(
    listing: Listing, position: Position, page: Page, total: int | None, earlier: Earlier | None
) -> list[Position]:
    """Return the positions to read after `page`, which was read at `position`.

    `total` is the list's length if it is known, from this page or from a count. With it, all
    other pages are returned at once, to be read side by side; without it, the next one. Raises
    `AnswerInvalid` when the server gives the same page again (it ignores the position).
    """
    if listing.paging == "single" or page.received == 0:
        return []
    if page.link is not None:
        return [Position(start=position.start + page.received, link=page.link)]
    if total is None:
        return _next_in_chain(listing, position, page, earlier)
    is_first = position.start == 0 and position.page == 1
    if listing.paging == "page":
        return _numbered_pages(position, page, total) if is_first else []
    if is_first:
        return _offsets(listing, position, page, total)
    return _rest_of_clamped(listing, position, page, total)


def _next_in_chain(
    listing: Listing, position: Position, page: Page, earlier: Earlier | None
) -> list[Position]:
    overlap = overlap_of(listing, position.size)
    if page.more is False or (position.start > 0 and page.received <= overlap):
        return []
    if (
        earlier is not None
        and earlier.rows == page.received
        and earlier.edges == Edges.of(page.ids)
    ):
        raise AnswerInvalid(
            f"The provider gave the same page of {listing.name} twice: it ignores the position, "
            "so the list cannot be read completely. Check the kind and version of the provider."
        )
    if listing.paging == "page":
        return [
            Position(
                start=position.start + page.received, page=position.page + 1, size=position.size
            )
        ]
    return [Position(start=position.start + page.received - overlap, size=position.size)]


def _numbered_pages(position: Position, page: Page, total: int) -> list[Position]:
    size = page.received
    last = -(-total // size)
    return [
        Position(start=(number - 1) * size, page=number, size=position.size)
        for number in range(2, last + 1)
    ]


def _offsets(listing: Listing, position: Position, page: Page, total: int) -> list[Position]:
    # A server may clamp the size without saying so: go by the rows received.
    size = page.received
    step = size - overlap_of(listing, size)
    asked = min(size, position.size) if position.size else size
    return [Position(start=start, size=asked) for start in range(step, total - (size - step), step)]


def _rest_of_clamped(
    listing: Listing, position: Position, page: Page, total: int
) -> list[Position]:
    size = position.size or page.received
    end = position.start + page.received
    wanted = min(position.start + size, total)
    if end >= wanted:
        return []
    overlap = overlap_of(listing, page.received)
    return [Position(start=end - overlap, size=wanted - end + overlap)]


def bridge(seam: int, size: int, width: int) -> Position:
    """Return a page that lies over the seam at row `seam`, wider with each look."""
    reach = max(size // 2, MIN_OVERLAPPED_SIZE) * width
    start = max(0, seam - reach)
    return Position(start=start, size=min(2 * reach, max(size, MIN_OVERLAPPED_SIZE)))
