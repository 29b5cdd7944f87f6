"""The streams that keep the console's pages up to date."""

import asyncio
import threading

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from sisgate import Gateway
from sisgate.console.live import MOST_STREAMS, Streams
from sisgate.console.pages import overview
from sisgate.console.rooms import ConsoleRoute, Visit
from testbed.console_visitor import ConsoleVisitor
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken


@pytest.mark.parametrize("of", ["/search", "//[", "/%00", "?", "http://[/"])
def test_what_is_no_page_is_not_followed(
    service: WebService, make_token: MakeToken, caplog: pytest.LogCaptureFixture, of: str
) -> None:
    """Nor is it a failure of the service."""
    with ConsoleVisitor(service, make_token("ada", "viewer")) as visitor:
        assert visitor.get(f"/live?of={of}").status_code == 422
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []


def test_who_closes_a_tab_takes_the_page_from_nobody_else(gateway: Gateway) -> None:
    """Two follow one page, whose rendering they share, and the first one leaves meanwhile."""
    begun, may_end = threading.Event(), threading.Event()

    def render(_route: ConsoleRoute, _visit: Visit) -> str:
        begun.set()
        assert may_end.wait(30)
        return "fragment"

    async def visitor(_request: Request) -> Gateway:
        return gateway

    async def both() -> object:
        streams = Streams(overview.room.routes, visitor, render, "assets")
        request = Request({"type": "http", "query_string": b"of=/", "headers": []})
        first = asyncio.create_task(streams.open(request))
        await asyncio.to_thread(begun.wait, 30)
        second = asyncio.create_task(streams.open(request))
        first.cancel()
        await asyncio.wait({first})  # the second has begun to wait before that
        may_end.set()
        return await second

    assert isinstance(asyncio.run(both()), StreamingResponse)


def test_of_many_tabs_at_a_time_no_more_than_the_bound_are_followed(gateway: Gateway) -> None:
    """Also while the page is still rendered; who leaves before it is there takes no place."""
    begun, may_end = threading.Event(), threading.Event()

    def render(_route: ConsoleRoute, _visit: Visit) -> str:
        begun.set()
        assert may_end.wait(30)
        return "fragment"

    async def visitor(_request: Request) -> Gateway:
        return gateway

    async def many() -> list[int]:
        streams = Streams(overview.room.routes, visitor, render, "assets")
        request = Request({"type": "http", "query_string": b"of=/", "headers": []})
        leaving = asyncio.create_task(streams.open(request))
        await asyncio.to_thread(begun.wait, 30)
        leaving.cancel()
        await asyncio.wait({leaving})
        tabs = [asyncio.create_task(streams.open(request)) for _ in range(MOST_STREAMS + 2)]
        may_end.set()
        return [each.status_code for each in await asyncio.gather(*tabs)]

    assert asyncio.run(many()) == [200] * MOST_STREAMS + [429] * 2
