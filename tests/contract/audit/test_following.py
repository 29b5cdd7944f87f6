"""Who follows the log is shown each event once, and nothing from before they looked."""

from collections.abc import Iterator

from sisgate.gateway.audit_following import Following
from sisgate.ledger import audit_log
from sisgate.ledger.audit_log import AuditFilter
from sisgate.ledger.schema import AuditEvent
from testbed.audit_book import Book


def search(book: Book, wanted: AuditFilter) -> Iterator[AuditEvent]:
    """What the log has of it."""
    with book.database.read() as session:
        yield from audit_log.search(session, wanted)


def test_only_what_comes_after_the_last_event_shown_is_new(book: Book) -> None:
    """Of five events the newest was shown; two more come, the second look finds none."""
    book.write(5)
    with book.database.read() as session:
        shown = audit_log.tail(session, limit=1)
    following = Following(
        lambda wanted: search(book, wanted), AuditFilter(), shown, book.clock.now()
    )
    assert list(following.new()) == []
    book.write(2, writer=1)
    assert [event.subject for event in following.new()] == ["call/6", "call/7"]
    assert list(following.new()) == []
