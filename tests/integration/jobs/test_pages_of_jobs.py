"""Lists of jobs, page by page."""

import pytest

from sisgate import Gateway
from sisgate.errors import UsageError


def test_pages_hold_every_job_once(gateway: Gateway) -> None:
    """Also those that came at the same moment, and whatever comes meanwhile."""
    ids = {gateway.sync("open", "students", idempotency_key=str(n)).id for n in range(9)}
    seen: list[str] = []
    after = None
    while page := gateway.jobs.list(after=after, limit=2):
        seen += [job.id for job in page]
        after = page[-1].cursor
        gateway.sync("open", "teachers", idempotency_key=f"new {len(seen)}")
    assert len(seen) == len(ids)
    assert set(seen) == ids


def test_a_list_holds_only_what_is_asked_for(gateway: Gateway) -> None:
    """By resource and by app."""
    wanted = gateway.sync("open", "students", app="portal")
    gateway.sync("open", "classes", app="portal")
    gateway.sync("open", "students", app="gradebook")
    assert [job.id for job in gateway.jobs.list(resource="students", app="portal")] == [wanted.id]


@pytest.mark.parametrize("text", ["", "x", "nonsense", "AAAA", "MjAyNi0wMS0wMSB4"])
def test_another_text_is_no_cursor(gateway: Gateway, text: str) -> None:
    """And it is the caller's mistake."""
    with pytest.raises(UsageError, match="cursor"):
        gateway.jobs.list(after=text)
