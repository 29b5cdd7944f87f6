"""The example consumer under uvicorn, told by real workers what a sync of the sandbox did."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sisgate.clock import SystemClock, poll_until
from testbed.asgi_server import AsgiServer
from testbed.stack import PATIENCE_SECONDS, Stack

NAME = "oneroster"
EXAMPLE = Path(__file__).parents[3] / "examples/webhook_consumer.py"
CLOCK = SystemClock()


@pytest.fixture
def consumer() -> Iterator[tuple[AsgiServer, dict[str, Any]]]:
    """The app, and the events that it has taken."""
    spec = importlib.util.spec_from_file_location("webhook_consumer", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with AsgiServer(module.app) as server:
        yield server, module.handled


def test_the_consumer_is_told_what_a_sync_did(
    stack: Stack, consumer: tuple[AsgiServer, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed, each event once; who cannot sign is refused."""
    server, handled = consumer
    stack.fresh(NAME)
    url = f"{server.url}/sisgate"
    kinds = ["job.ended", "dataset.changed"]
    hook = stack.gateway.webhooks.add(url, kinds, app="default", providers=[NAME], ordered=True)
    assert hook.secret is not None
    monkeypatch.setenv("WEBHOOK_SECRETS", hook.secret.get_secret_value())
    status = stack.sync(NAME, "orgs")
    assert status.state == "done"
    assert poll_until(lambda: len(handled) == 2, clock=CLOCK, timeout_seconds=PATIENCE_SECONDS)
    ended, changed = handled.values()
    assert (ended["type"], ended["data"]["job"]) == ("job.ended", status.id)
    assert ended["data"]["state"] == "done"
    assert changed["data"]["cursor"] == stack.cursor(NAME, "orgs")
    assert changed["data"]["inserted"] == status.inserted > 0
    forged = requests.post(url, json=changed, headers={"webhook-id": "evt_1"}, timeout=10)
    assert forged.status_code == 401
    shown = requests.get(f"{server.url}/events", timeout=10).json()
    assert [event["type"] for event in shown] == kinds
    stack.gateway.webhooks.remove(hook.id)
