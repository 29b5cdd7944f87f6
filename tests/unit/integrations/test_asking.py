"""What a caller whose time is up is told about its job."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from sisgate.errors import BrokerUnavailable
from sisgate.integrations import asking
from sisgate.integrations.process_gateway import ProcessGateway


def test_a_redis_that_hangs_keeps_no_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its commands takes 5 s to fail, and an outlook is made of ten."""
    monkeypatch.setattr(asking, "OUTLOOK_SECONDS", 0.01)
    goes_on = threading.Event()

    def waits_for(_: str) -> None:
        goes_on.wait(60)
        raise BrokerUnavailable("Redis cannot be reached.")

    async def ask() -> None:
        gateway: Any = SimpleNamespace(jobs=SimpleNamespace(waits_for=waits_for))
        try:
            with pytest.raises(BrokerUnavailable, match="too long") as late:
                await asking.wait_of(ProcessGateway(), gateway, "j")
            assert late.value.detail == {"job": "j"}
        finally:
            goes_on.set()

    asyncio.run(ask())
