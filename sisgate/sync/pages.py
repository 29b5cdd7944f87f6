"""Which pages of a listing to read next. Pure: facts in, positions out.

Consecutive pages read by row offset overlap by one row. A list that shifts while it is read (a
row before the seam is deleted or inserted) then shows itself: the last rows of one page are no
longer among the first of the next. Proof that no record is lost: rows come in one stable order,
and a page is an unbroken run of it; if page k and page k+1 share a row, their runs join, and
every row between their ends that existed at both times was received. Where the seam is broken, a
bridge page across it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sisgate.errors import AnswerInvalid
from sisgate.providers.dialect import Listing, Page, Position

OVERLAP = 1
"""Rows that one page shares with the next, for the check of the seam."""

MIN_OVERLAPPED_SIZE = 10
"""Pages smaller than this don't overlap: it would cost more than it proves."""

MOST_PAGES = 100_000
"""Pages that one total may plan in one transaction. No roster comes near: it would take days."""

EDGE = 3
"""Row ids stored for each end of a page. Several, because one of them may be deleted."""


@dataclass(frozen=True)
class Edges:
    """The first and last row ids of a page, in order."""

    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()

    @classmethod
    def of(cls, ids: Sequence[str]) -> Edges:
        """Return the edges of a page's row ids."""
        return cls(tuple(ids[:EDGE]), tuple(ids[-EDGE:]))


@dataclass(frozen=True)
class Earlier:
    """An earlier page of the chain, to notice a server that repeats it."""

    edges: Edges
    rows: int


def overlap_of(listing: Listing, size: int | None) -> int:
    """Return how many rows consecutive pages of this size share."""
    overlaps = listing.paging == "offset" and size is not None and size >= MIN_OVERLAPPED_SIZE
    return OVERLAP if overlaps else 0


def following(
    listing: Listing, position: Position, page: Page, total: int | None, *, was_known: bool
) -> list[Position]:
    """Return the positions to read after `page`, which was read at `position`.

    `total` is the list's length if it is known by now, `was_known` whether it was before this
    page. With a total all other pages are returned, to be read in parallel; without it, only the
    next one. A list that may continue past its own total is read further as a chain. Raises
    `AnswerInvalid` if the total stands for more than `MOST_PAGES`.
    """
    if listing.paging == "single" or page.received == 0:
        return []
    end = position.start + page.received
    if page.link is not None:
        return [Position(start=end, page=position.page + 1, size=position.size, link=page.link)]
    if total is None or (end >= total and _may_go_on(position, page)):
        return _next_in_chain(listing, position, page)
    is_first = position.start == 0 and position.page == 1
    if was_known and not is_first:
        return _rest_of_clamped(listing, position, page, total)
    if listing.paging == "page":
        return _numbered_pages(position, page, total)
    return _offsets(listing, position, page, total)


def _may_go_on(position: Position, page: Page) -> bool:
    """Whether rows may follow a page at which the list ends by its total.

    Some servers report the page's rows as the total, or truncate it. A full page may be the first
    of a longer list, and a total below the page's own end is wrong.
    """
    if page.more is not None:
        return page.more
    if page.total is not None and page.total < position.start + page.received:
        return True
    if position.size is not None:
        return page.received >= position.size
    # If the server chooses the size, the previous pages show it.
    return position.page > 1 and page.received * (position.page - 1) >= position.start


def is_behind(position: Position, total: int | None) -> bool:
    """Whether a page begins where the rows known by now end, so that it may well not exist.

    Never if the server itself linked to it.
    """
    is_first = position.start == 0 and position.page == 1
    if is_first or position.link is not None:
        return False
    return total is None or position.start + OVERLAP >= total


def after_repeat(
    listing: Listing, position: Position, page: Page, earlier: Sequence[Earlier]
) -> list[Position] | None:
    """Return where to continue when a chain reaches a page that it has already read.

    None: it does not. A server that ignores position and size returns its whole list each time:
    such a list ends here, once fewer rows were requested and all of them came. So does that of a
    server that repeats its short last page for everything beyond. Raises `AnswerInvalid` if the
    chain is circular or cannot reach the rest of the list.

    `earlier` are pages of the chain in their order: the first, some, and the one just before.
    """
    now = Earlier(Edges.of(page.ids), page.received)
    if now not in earlier or (page.received <= OVERLAP and len(earlier) < 2):
        return None
    if page.link is None and page.more is not True:
        if all(each == now for each in earlier):
            if page.received <= OVERLAP or page.received > (position.size or page.received):
                return []
            return [replace(position, size=max(1, page.received // 2))]
        if earlier[-1] == now and page.received < max(each.rows for each in earlier):
            return []
    raise AnswerInvalid(
        f"The provider gave the same page of {listing.name} twice: it ignores the position, "
        "so the list cannot be read completely. Check the kind and version of the provider."
    )


def _next_in_chain(listing: Listing, position: Position, page: Page) -> list[Position]:
    overlap = overlap_of(listing, position.size)
    if page.more is False or (position.start > 0 and page.received <= overlap):
        return []
    end = position.start + page.received
    if listing.paging == "page":
        return [Position(start=end, page=position.page + 1, size=position.size)]
    if end <= overlap:
        # Either the whole list or a server that gives one row at a time: then nothing overlaps.
        return [Position(start=end, size=1)]
    return [Position(start=end - overlap, size=position.size)]


def _numbered_pages(position: Position, page: Page, total: int) -> list[Position]:
    size = page.received
    numbers = range(position.page + 1, -(-total // size) + 1)
    _refuse_too_many(numbers, page, total)
    return [
        Position(start=(number - 1) * size, page=number, size=position.size) for number in numbers
    ]


def _offsets(listing: Listing, position: Position, page: Page, total: int) -> list[Position]:
    # A server may clamp the size without saying so: go by the rows received.
    size = page.received
    overlap = overlap_of(listing, size)
    asked = min(size, position.size) if position.size else size
    starts = range(position.start + size - overlap, total - overlap, size - overlap)
    _refuse_too_many(starts, page, total)
    return [Position(start=start, size=asked) for start in starts]


def _refuse_too_many(pages: range, page: Page, total: int) -> None:
    if len(pages) > MOST_PAGES:
        raise AnswerInvalid(
            f"The provider says that the list has {total:,} rows, and sent {page.received:,} in "
            f"its first page. That would be {len(pages):,} more pages; at most {MOST_PAGES:,} are "
            "read. Raise page_size, or ask the provider's operator whether that total is right."
        )


def _rest_of_clamped(
    listing: Listing, position: Position, page: Page, total: int
) -> list[Position]:
    size = position.size or page.received
    end = position.start + page.received
    wanted = min(position.start + size, total)
    if listing.paging != "offset" or end >= wanted:
        return []
    overlap = overlap_of(listing, page.received)
    return [Position(start=end - overlap, size=wanted - end + overlap)]


def bridge(seam: int, size: int, width: int) -> Position:
    """Return a page of `size` rows over the seam at row `seam`, beginning earlier with each pass.

    >>> bridge(seam=100, size=50, width=1), bridge(seam=100, size=50, width=2)
    (Position(start=75, page=1, size=50, link=None), Position(start=50, page=1, size=50, link=None))
    """
    return Position(start=max(0, seam - max(1, size // 2) * width), size=size)
