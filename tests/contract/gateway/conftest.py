"""Each gateway in turn: in the process, and over HTTP from a served app."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sisgate import Gateway
from sisgate.client import HttpGateway
from sisgate.clock import SystemClock
from sisgate.settings import Settings
from testbed.caller import Caller
from testbed.heartbeats import be_heard
from testbed.http_server import Asked, Reply, json_reply
from testbed.installation import install
from testbed.ledgers import Ledgers
from testbed.redis import RedisServer
from testbed.sis import Sis
from testbed.web_service import WebService
from tests.contract.gateway.world import LIMITED, NAME, World

CONFIG = """
access = "tokens"

[providers.{name}]
kind = "oneroster"
limit = "off"
auth = "none"
allow_insecure = true
[[providers.{name}.endpoints]]
url = "{url}"

[providers.{limited}]
kind = "oneroster"
limit = "1/h"
burst = 1
auth = "none"
allow_insecure = true
max_waiting_jobs = 2
[[providers.{limited}.endpoints]]
url = "{url}"
"""


class Served:
    """A service whose gateway is another one for each test."""

    def __init__(self, service: WebService) -> None:
        self._service = service

    @contextmanager
    def of(self, settings: Settings) -> Iterator[str]:
        """Give the URL of the service while it serves an installation."""
        root = self._service.gateway
        root.__dict__.clear()
        root.__init__(settings)  # type: ignore[misc]  # the app keeps this object
        yield self._service.url
        root.close()


@pytest.fixture
def sis() -> Iterator[Sis]:
    """The provider, on a real port."""
    with Sis() as server:
        yield server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Served]:
    """The service, built once: to build it takes longer than a test."""
    folder = tmp_path_factory.mktemp("served")
    settings = install(folder, 'access = "tokens"', redis_url=redis_server.url)
    with WebService(Gateway(settings)) as service:
        yield Served(service)


@pytest.fixture(params=["direct", "http"])
def world(
    request: pytest.FixtureRequest, tmp_path: Path, redis_url: str, ledgers: Ledgers, sis: Sis
) -> Iterator[World]:
    """A world whose gateway is the one under test: an app's, with a token."""
    text = CONFIG.format(name=NAME, limited=LIMITED, url=sis.url)
    ledger = ledgers.sqlite(tmp_path / "ledger.sqlite3")
    settings = install(tmp_path, text, redis_url=redis_url, database_url=ledger)
    with ExitStack() as opened:
        root = Gateway(settings.model_copy(update={"access": "open"}))
        opened.callback(root.close)
        be_heard(root)
        limited = root.providers.control(LIMITED)
        assert root.context.limiter.rebuild(LIMITED, limited.limits, [])

        def token(name: str, role: str) -> str:
            made = root.tokens.add(name, [role]).token
            assert made is not None
            return made.get_secret_value()

        if request.param == "http":
            served: Served = request.getfixturevalue("served")
            url = opened.enter_context(served.of(settings))

            def opened_by(token: str) -> Gateway | HttpGateway:
                return opened.enter_context(HttpGateway(url, token))

        else:

            def opened_by(token: str) -> Gateway | HttpGateway:
                own = settings.model_copy(update={"token": SecretStr(token)})
                gateway = Gateway(own)
                opened.callback(gateway.close)
                return gateway

        def answers(by_path: Mapping[str, Any]) -> None:
            def reply(asked: Asked) -> Reply:
                if asked.path not in by_path:
                    return json_reply({"message": "no such path"}, 404)
                answer = by_path[asked.path]
                return answer if isinstance(answer, tuple) else json_reply(answer)

            sis.reply = reply

        @contextmanager
        def working() -> Iterator[object]:
            with Caller(settings):
                yield None

        yield World(
            gateway=opened_by(token("gradebook", "app")),
            admin=opened_by(token("ana", "admin")),
            answers=answers,
            asked=lambda: [(each.method, each.target) for each in sis.asked],
            working=working,
            now=SystemClock().now,
        )
