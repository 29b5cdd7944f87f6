"""Who has used how much of a provider, as the gateway tells it."""

from contextlib import closing
from datetime import timedelta

import pytest

from sisgate import Gateway
from sisgate.access.policy import Principal, Role, Scope
from sisgate.errors import AccessDenied, UsageError
from tests.contract.ledger.rows import NOW
from tests.contract.ledger.test_usage import call

APP = Principal("a", frozenset({Role.APP}))
STRANGER = Principal("ana", frozenset({Role.VIEWER}), (Scope("open"),))


@pytest.fixture
def used(gateway: Gateway) -> Gateway:
    """Two days, two apps, all at lincoln."""
    for hours, status, app in ((1, 200, "a"), (1.5, 429, "a"), (5, 200, "b"), (25, None, "a")):
        call(gateway.context.database, hours, status, app=app, rows=10 if status == 200 else 0)
    return gateway


def told(gateway: Gateway, by: str, **only: str) -> list[tuple[str, str, int, int, int, int]]:
    """The usage of the two days."""
    since, until = NOW - timedelta(hours=1), NOW + timedelta(days=2)
    return [
        (f"{one.begin:%d %H}" if one.begin else "", one.app, one.calls, one.throttled, one.failed,
         one.rows)
        for one in gateway.providers.usage(since=since, until=until, by=by, **only)
    ]  # fmt: skip


def test_it_is_summed_up_by_the_hour_by_the_day_and_in_all(used: Gateway) -> None:
    """Days and hours are those of UTC."""
    assert told(used, "total") == [("", "a", 3, 1, 1, 10), ("", "b", 1, 0, 0, 10)]
    assert told(used, "day") == [
        ("01 00", "a", 2, 1, 0, 10),
        ("01 00", "b", 1, 0, 0, 10),
        ("02 00", "a", 1, 0, 1, 0),
    ]
    assert [begin for begin, *_ in told(used, "hour")] == ["01 09", "01 13", "02 09"]
    assert told(used, "total", app="b") == [("", "b", 1, 0, 0, 10)]
    assert told(used, "total", provider="open") == []
    with pytest.raises(UsageError, match="total, day, hour"):
        told(used, "week")


def test_an_app_sees_its_own_and_nobody_what_is_out_of_scope(used: Gateway) -> None:
    """What a provider is asked for tells who works with whom."""
    own, stranger = (Gateway(used.settings, principal=who) for who in (APP, STRANGER))
    with closing(own), closing(stranger):
        assert [app for _, app, *_ in told(own, "total")] == ["a"]
        assert told(stranger, "total") == []
        with pytest.raises(AccessDenied):
            stranger.providers.usage("lincoln")
