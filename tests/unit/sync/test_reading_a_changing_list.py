"""Whatever happens to a list while it is read, a claim of completeness is true."""

from typing import get_args

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from sisgate.errors import AnswerInvalid
from sisgate.providers.dialect import Listing, Page, Paging, Position
from sisgate.sync.completeness import CompletenessResult
from sisgate.sync.pages import MOST_PAGES, following, is_behind
from tests.unit.sync.reading import ChangingList, Onward, Reading, Server, Totals

MOST_CALLS = 2000

HONEST: tuple[Totals, ...] = ("never", "always", "first", "later", "counted", "too high")

change = st.tuples(st.booleans(), st.integers(0, 200), st.integers(1, 25))
step = st.tuples(st.integers(0, 9), st.lists(change, max_size=3))


@st.composite
def readings(draw: st.DrawFn, paging: str) -> Reading:
    """A sync of a list of up to 120 rows, from a server of any honest manner."""
    server = Server(
        ChangingList(draw(st.integers(0, 120))),
        cap=draw(st.sampled_from([1, 4, 9, 10, 12, 20, 50])),
        totals=draw(st.sampled_from(HONEST)),
        onward=draw(st.sampled_from(("silent", "more") if paging == "page" else get_args(Onward))),
    )
    size = draw(st.sampled_from([None, 5, 10, 20, 50]))
    return Reading(server, paging=paging, page_size=size)  # type: ignore[arg-type]


def read(
    reading: Reading, steps: list[tuple[int, list[tuple[bool, int, int]]]]
) -> CompletenessResult:
    """Read the list while `steps` change it, and then in peace, until a verdict."""
    rows = reading.server.rows
    pending = iter(steps)
    while reading.calls < MOST_CALLS:
        pick, changes = next(pending, (0, []))
        verdict = reading.read_on(pick)
        if verdict is not None:
            return verdict
        for deletes, place, count in changes:
            (rows.delete if deletes else rows.insert)(place, count)
    raise AssertionError("the reading does not end")


@given(readings("offset"), st.lists(step, max_size=40))
@settings(max_examples=800)
def test_what_is_proven_lost_no_row(
    reading: Reading, steps: list[tuple[int, list[tuple[bool, int, int]]]]
) -> None:
    """Rows that existed throughout were received, if the verdict says that this is proven."""
    try:
        verdict = read(reading, steps)
    except AnswerInvalid:
        event("refused")
        return
    event(f"complete={verdict.complete} proven={verdict.proven}")
    if verdict.complete and verdict.proven:
        assert reading.server.rows.always <= reading.received


@given(readings("page"), st.lists(step, max_size=40))
@settings(max_examples=500)
def test_numbered_pages_prove_nothing_but_a_list_in_one_page(
    reading: Reading, steps: list[tuple[int, list[tuple[bool, int, int]]]]
) -> None:
    """Page numbers show no shift, so only a list that came in one page is proven."""
    try:
        verdict = read(reading, steps)
    except AnswerInvalid:
        return
    if verdict.proven:
        assert reading.server.rows.always <= reading.received


@given(readings("offset") | readings("page"))
@settings(max_examples=500)
def test_a_list_that_keeps_still_is_read_completely(reading: Reading) -> None:
    """Every manner of server, no change: complete and whole, unless the total is a lie."""
    reading.server.totals = (
        "always" if reading.server.totals == "too high" else reading.server.totals
    )
    verdict = read(reading, [])
    assert verdict.complete, verdict.reason
    assert set(reading.server.rows.ids) == reading.received


@given(st.integers(0, 1000), st.sampled_from([10, 50, 100]), st.sampled_from(["always", "counted"]))
def test_a_list_that_keeps_still_costs_no_call_too_many(
    length: int, size: int, totals: Totals
) -> None:
    """With a total, as many pages as overlapping by one row needs; one more if the last is full."""
    reading = Reading(Server(ChangingList(length), cap=1000, totals=totals), page_size=size)
    assert read(reading, []).complete
    empty = 0 if totals == "counted" else 1
    is_full = length >= size and (length - 1) % (size - 1) == 0
    pages = max(1, -(-(length - 1) // (size - 1))) if length else empty
    assert reading.calls == pages + is_full


@given(st.integers(0, 1000), st.sampled_from([10, 50, 100]))
def test_numbered_pages_of_a_counted_list_cost_its_pages(length: int, size: int) -> None:
    """A counted list in numbered pages: exactly its pages, and one more if the last is full."""
    server = Server(ChangingList(length), cap=size, totals="counted")
    reading = Reading(server, paging="page", page_size=None)
    assert read(reading, []).complete
    is_full = length > size and length % size == 0
    assert reading.calls == -(-length // size) + is_full


@given(st.integers(21, 100), st.integers(0, 20), st.integers(1, 2), st.booleans())
def test_a_small_shift_costs_a_few_calls_and_is_proven(
    length: int, place: int, count: int, deletes: bool
) -> None:
    """One or two rows come or go after the first page: at most a bridge for a seam or the end."""
    reading = Reading(Server(ChangingList(length), cap=1000), page_size=20)
    quiet = max(1, -(-(length - 1) // 19))
    verdict = read(reading, [(0, [(deletes, place, count)])])
    assert verdict.complete
    assert verdict.proven
    assert reading.server.rows.always <= reading.received
    assert reading.calls <= quiet + 2


@pytest.mark.parametrize("totals", ["never", "always", "first", "counted"])
@pytest.mark.parametrize("onward", ["silent", "more", "opaque"])
@pytest.mark.parametrize("paging", ["offset", "page"])
def test_a_server_that_ignores_the_position_proves_nothing(
    totals: Totals, onward: Onward, paging: str
) -> None:
    """The first page again and again ends the reading, and never as complete."""
    if paging == "page" and onward == "opaque":
        onward = "more"
    server = Server(
        ChangingList(100), cap=20, totals=totals, onward=onward, position=lambda _start: 0
    )
    reading = Reading(server, paging=paging)  # type: ignore[arg-type]
    try:
        verdict = read(reading, [])
    except AnswerInvalid:
        verdict = CompletenessResult(complete=False)
    assert not verdict.complete
    assert reading.calls < 40


@given(st.integers(2, 80), st.sampled_from([4, 10, 20]), st.sampled_from(get_args(Onward)))
@example(circle=40, cap=20, onward="opaque")
def test_a_server_that_leads_in_a_circle_is_noticed(circle: int, cap: int, onward: Onward) -> None:
    """A chain that comes back to earlier rows ends with an error, not never."""
    server = Server(
        ChangingList(1000),
        cap=cap,
        totals="never",
        onward=onward,
        position=lambda start: start % circle,
    )
    reading = Reading(server)
    try:
        verdict = read(reading, [])
    except AnswerInvalid:
        return
    assert not verdict.complete


def test_a_total_that_only_counts_the_page_does_not_end_the_list() -> None:
    """Some servers put the page's rows into X-Total-Count; their next link tells more."""
    server = Server(ChangingList(95), cap=20, totals="of the page", onward="more")
    reading = Reading(server)
    verdict = read(reading, [])
    assert reading.received == set(server.rows.ids)
    assert verdict.complete


def test_a_total_that_is_too_high_is_never_complete() -> None:
    """Rows that were promised and did not come leave the list incomplete."""
    reading = Reading(Server(ChangingList(95), cap=20, totals="too high"))
    verdict = read(reading, [])
    assert not verdict.complete
    assert verdict.reason == "95 of 102 rows came"


def test_a_list_that_shrinks_below_its_first_page_is_not_taken_as_whole() -> None:
    """Deletions push unread rows onto the page that was read: the empty next page shows it."""
    reading = Reading(Server(ChangingList(25), cap=20, totals="never"))
    verdict = read(reading, [(0, [(True, 0, 8)])])
    assert verdict.complete
    assert reading.server.rows.always <= reading.received


@pytest.mark.parametrize("cap", [1000, 20])
@pytest.mark.parametrize("length", [19, 20, 21, 95, 100])
@pytest.mark.parametrize("paging", ["offset", "page"])
def test_a_total_of_the_page_alone_loses_no_row(paging: str, length: int, cap: int) -> None:
    """A full page whose total is its own size proves nothing: the list is read on."""
    server = Server(ChangingList(length), cap=cap, totals="of the page")
    reading = Reading(server, paging=paging)  # type: ignore[arg-type]
    verdict = read(reading, [])
    assert verdict.complete, verdict.reason
    assert reading.received == set(server.rows.ids)


def test_the_end_of_a_clamped_list_that_counts_its_page_can_be_proven() -> None:
    """Its first page looks like a whole list, so the page that would show the rest is named."""
    server = Server(ChangingList(95), cap=20, totals="of the page")
    reading = Reading(server, page_size=50)
    first = read(reading, [])
    assert first.complete
    assert first.beyond is not None
    reading.begin(first.beyond)
    assert read(reading, []).complete
    assert reading.received == set(server.rows.ids)


@given(st.integers(1, 95), st.sampled_from([20, 50, 10]))
def test_a_total_that_is_too_low_ends_no_list(length: int, size: int) -> None:
    """A full last page, or rows behind the total, are read on."""
    server = Server(ChangingList(length), cap=1000, totals="too low")
    reading = Reading(server, page_size=size)
    read(reading, [])
    assert reading.received == set(server.rows.ids)


@pytest.mark.parametrize("length", [1, 2, 5, 19, 20, 21, 60])
@pytest.mark.parametrize("totals", ["never", "always"])
@pytest.mark.parametrize("paging", ["offset", "page"])
def test_a_list_that_comes_whole_each_time_is_a_list(
    paging: str, totals: Totals, length: int
) -> None:
    """A server that ignores place and size is read in a few calls, and rests on counts."""
    server = Server(ChangingList(length), cap=1000, totals=totals, whole=True)
    reading = Reading(server, paging=paging)  # type: ignore[arg-type]
    verdict = read(reading, [])
    assert verdict.complete, verdict.reason
    assert not verdict.proven or reading.calls == 1
    assert reading.received == set(server.rows.ids)
    assert reading.calls <= 4


@pytest.mark.parametrize("length", [1, 22, 39, 55])
def test_a_short_last_page_that_comes_again_ends_the_list(length: int) -> None:
    """A server that gives its last page for all that lies behind it."""
    server = Server(
        ChangingList(length),
        cap=20,
        totals="never",
        position=lambda s: min(s, (length - 1) // 20 * 20),
    )
    reading = Reading(server, paging="page")
    verdict = read(reading, [])
    assert verdict.complete, verdict.reason
    assert reading.received == set(server.rows.ids)


@pytest.mark.parametrize("length", [1, 5, 20, 95])
@pytest.mark.parametrize("paging", ["offset", "page"])
def test_a_refusal_behind_the_known_rows_ends_the_list(paging: str, length: int) -> None:
    """One row, or many, and 404 behind: all rows came."""
    server = Server(ChangingList(length), cap=20, totals="never", refuses_behind=True)
    reading = Reading(server, paging=paging)  # type: ignore[arg-type]
    verdict = read(reading, [])
    assert verdict.complete, verdict.reason
    assert reading.received == set(server.rows.ids)


def test_a_refusal_before_the_end_is_no_end() -> None:
    """Where a total or the server's own link promises more, a 404 is not believed."""
    assert not is_behind(Position(start=19, size=20), total=95)
    assert not is_behind(Position(), total=None)
    assert is_behind(Position(start=94, size=20), total=95)
    server = Server(ChangingList(95), cap=20, totals="never", onward="more", refuses_behind=True)
    server.ends_at = 40
    verdict = read(Reading(server), [])
    assert not verdict.complete


def test_a_row_that_comes_on_two_numbered_pages_is_counted_once() -> None:
    """A row inserted in front pushes one over the border: the count is right, the list is not."""
    reading = Reading(Server(ChangingList(60), cap=20, totals="first"), paging="page")
    verdict = read(reading, [(0, [(False, 0, 1), (True, 60, 1)])])
    assert verdict.complete
    assert reading.looks == 2


@pytest.mark.parametrize("paging", ["offset", "page"])
@pytest.mark.parametrize("total", [MOST_PAGES + 2, 2 * 10**9, 2**63 - 1])
def test_a_total_that_would_fill_the_ledger_is_refused_before_a_page_is_planned(
    paging: Paging, total: int
) -> None:
    """A server's claim of billions of rows costs an error, not a transaction without end."""
    listing = Listing("students", "/students", (), paging=paging)
    page = Page(rows=[], received=1, ids=["1"], total=total)
    with pytest.raises(AnswerInvalid, match="more pages; at most"):
        following(listing, Position(size=1000), page, total, was_known=False)

    most = following(listing, Position(size=1000), page, MOST_PAGES + 1, was_known=False)
    assert len(most) == MOST_PAGES
